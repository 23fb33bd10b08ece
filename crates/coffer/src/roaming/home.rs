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
/// this one may still write.
pub fn remove(home: &Path) {
    let marker = std::fs::remove_file(home.join(DAMAGED));
    let results = [std::fs::remove_dir_all(home.join(TREE)), marker];
    for error in results.into_iter().filter_map(Result::err) {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(dir = %home.display(), %error, "an old index can't be removed");
        }
    }
}
