//! The two directories that an index in a place can be in: the place's own, and one inside it. An
//! index that is damaged is made anew in the other one while it is still read from.

use std::io;
use std::path::{Path, PathBuf};

const SECOND: &str = "second";
/// What an engine keeps in its directory, and where it notes damage.
const TREE: &str = "tree";
const DAMAGED: &str = "DAMAGED";

/// Where the index of a place is: in the second home only if the first one is empty or damaged.
pub fn of(place: &Path) -> PathBuf {
    let second = place.join(SECOND);
    let whole = |home: &Path| home.join(TREE).is_dir() && !home.join(DAMAGED).exists();
    if whole(&second) && !whole(place) { second } else { place.to_owned() }
}

/// The other home of the place.
pub fn other(place: &Path, home: &Path) -> PathBuf {
    if home == place { place.join(SECOND) } else { place.to_owned() }
}

/// Removes what an index left in a home, but for its lock: another one must not be made there while
/// this one may still write. The note of damage goes last: without it what is left would be
/// taken for whole.
pub fn remove(home: &Path) {
    let gone = |removed: io::Result<()>| match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let removed = gone(std::fs::remove_dir_all(home.join(TREE)))
        .and_then(|()| gone(std::fs::remove_file(home.join(DAMAGED))));
    if let Err(error) = removed {
        tracing::warn!(dir = %home.display(), %error, "an old index can't be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_of_damage_stays_as_long_as_the_tree_does() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path();
        // Not a directory, so it can't be removed as one, whoever runs this.
        std::fs::write(home.join(TREE), "stays").unwrap();
        std::fs::write(home.join(DAMAGED), "why").unwrap();
        remove(home);
        assert!(home.join(DAMAGED).exists());
        std::fs::remove_file(home.join(TREE)).unwrap();
        std::fs::create_dir(home.join(TREE)).unwrap();
        remove(home);
        assert!(!home.join(TREE).exists() && !home.join(DAMAGED).exists());
    }
}
