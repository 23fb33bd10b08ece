use coffer_base::Timestamp;

use super::*;
use crate::self_signed;

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn made() -> self_signed::Pair {
    self_signed::make(&["localhost".to_owned(), "127.0.0.1".to_owned()], NOW).unwrap()
}

fn refused(chain: &[u8], key: &[u8]) -> String {
    Certificate::from_pem(chain, key).unwrap_err().to_string()
}

#[test]
fn a_pair_is_read_from_two_files_or_one() {
    let pair = made();
    let certificate = Certificate::from_pem(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    assert!(certificate.validity.includes(NOW));
    assert!(!certificate.validity.includes(Timestamp(NOW.0 + 3651 * 86_400_000)));
    assert!(certificate.validity.part_over(NOW) < 0.01);
    assert_eq!(certificate.fingerprint.len(), 95);
    let both = format!("a comment\n{}\n{}", pair.key, pair.chain);
    let same = Certificate::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
    assert_eq!(same.fingerprint, certificate.fingerprint);
}

#[test]
fn what_is_wrong_is_said() {
    let (pair, other) = (made(), made());
    let (chain, key) = (pair.chain.as_bytes(), pair.key.as_bytes());
    assert!(refused(chain, other.key.as_bytes()).contains("do not fit each other"));
    assert!(refused(b"", key).contains("no block BEGIN CERTIFICATE"));
    assert!(refused(key, key).contains("no block BEGIN CERTIFICATE"));
    assert!(refused(chain, b"").contains("no block BEGIN PRIVATE KEY"));
    assert!(refused(chain, chain).contains("no block BEGIN PRIVATE KEY"));
    let long = pair.chain.repeat(17);
    assert!(refused(long.as_bytes(), key).contains("more than 16"));
    let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(empty, key).contains("certificate is not readable"));
}

#[test]
fn a_garbled_pair_is_an_error_never_a_panic() {
    let pair = made();
    let (chain, key) = (pair.chain.as_bytes(), pair.key.as_bytes());
    for cut in (0..chain.len() - 30).step_by(7) {
        assert!(Certificate::from_pem(&chain[..cut], key).is_err());
        let mut broken = chain.to_vec();
        broken[cut] = broken[cut].wrapping_add(1);
        let _ = Certificate::from_pem(&broken, key);
    }
    for cut in 0..key.len() - 27 {
        assert!(Certificate::from_pem(chain, &key[..cut]).is_err());
    }
}
