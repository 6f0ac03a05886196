//! Who tried too often. Kept in memory: each node slows down what it sees, and a restart forgives.
//!
//! Three counts go up with every attempt, before the password is looked at, so that a hundred attempts at once are not
//! checked against a count of zero: one for the account as tried from this network, one for the network, one for the
//! account from everywhere. The last is generous, since otherwise anybody could lock anybody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::clock::Instant;
use crate::ids::AccountId;

/// What attempts are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// This account from this network.
    Pair(String, IpAddr),
    /// This network.
    Network(IpAddr),
    /// This account from anywhere.
    Name(String),
    /// Codes and passwords asked of somebody whose password was right once.
    Account(AccountId),
}

impl Key {
    /// Attempts that cost nothing.
    fn free(&self) -> u32 {
        match self {
            Self::Pair(..) | Self::Account(_) => 5,
            Self::Network(_) => 20,
            Self::Name(_) => 50,
        }
    }

    /// The longest wait, in seconds. What many people share, or what a stranger can use up for somebody else, must not stay
    /// closed for long: one attempt a minute finds no password either.
    fn longest_wait(&self) -> i64 {
        match self {
            Self::Pair(..) | Self::Account(_) => 15 * 60,
            Self::Network(_) | Self::Name(_) => 60,
        }
    }
}

/// The wait after the first attempt too many, in seconds; each further one doubles it.
const FIRST_WAIT: i64 = 30;
/// Attempts older than this are forgotten, in seconds.
const MEMORY: i64 = 60 * 60;
/// Most counts that are kept, about 2 MiB; the longest untouched go first.
const ROOM: usize = 20_000;

#[derive(Debug, Clone, Copy)]
struct Count {
    attempts: u32,
    last: Instant,
    blocked_until: Option<Instant>,
}

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    counts: Mutex<HashMap<Key, Count>>,
}

/// An attempt that was let through. Say [`succeeded`](Attempt::succeeded), or it stays counted as a failure.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    keys: Vec<Key>,
}

/// The keys of a sign-in.
pub(crate) fn keys_of_sign_in(name_normalised: &str, address: IpAddr) -> Vec<Key> {
    let network = network(address);
    vec![
        Key::Pair(name_normalised.to_owned(), network),
        Key::Network(network),
        Key::Name(name_normalised.to_owned()),
    ]
}

/// The same for somebody who signed in from this network before: what strangers elsewhere use up does not concern them.
pub(crate) fn keys_of_known_network(name_normalised: &str, address: IpAddr) -> Vec<Key> {
    let mut keys = keys_of_sign_in(name_normalised, address);
    keys.retain(|key| !matches!(key, Key::Name(_)));
    keys
}

/// The key of what is asked of an account that is half signed in, or signed in.
pub(crate) fn keys_of_account(account: AccountId) -> Vec<Key> {
    vec![Key::Account(account)]
}

/// An IPv6 customer holds at least a /64 (RFC 6177): counting single addresses would count nothing.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

impl Throttle {
    /// Counts an attempt, or says when to try again.
    pub(crate) fn attempt(&self, keys: &[Key], now: Instant) -> Result<Attempt<'_>, Instant> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let blocked =
            keys.iter().filter_map(|key| counts.get(key)?.blocked_until).filter(|until| *until > now).max();
        if let Some(until) = blocked {
            return Err(until);
        }
        for key in keys {
            if counts.len() >= ROOM && !counts.contains_key(key) {
                make_room(&mut counts, now);
            }
            let count =
                counts.entry(key.clone()).or_insert(Count { attempts: 0, last: now, blocked_until: None });
            if count.last.plus_seconds(MEMORY) < now {
                count.attempts = 0;
            }
            count.attempts = count.attempts.saturating_add(1);
            count.last = now;
            let excess = count.attempts.saturating_sub(key.free());
            let wait = FIRST_WAIT.saturating_mul(1 << excess.saturating_sub(1).min(16));
            // The attempt that uses the last free one is let through, and the next must wait.
            count.blocked_until = (count.attempts >= key.free())
                .then(|| now.plus_seconds(wait.clamp(FIRST_WAIT, key.longest_wait())));
        }
        Ok(Attempt { throttle: self, keys: keys.to_vec() })
    }
}

impl Attempt<'_> {
    /// Takes the attempt back. What was counted for the pair or the account is forgotten; the network only gets its one
    /// back, or whoever owns an account could wash away failures at others'.
    pub(crate) fn succeeded(self) {
        let mut counts = self.throttle.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            match key {
                Key::Pair(..) | Key::Account(_) => {
                    counts.remove(key);
                }
                Key::Network(_) | Key::Name(_) => {
                    if let Some(count) = counts.get_mut(key) {
                        count.attempts = count.attempts.saturating_sub(1);
                        if count.attempts < key.free() {
                            count.blocked_until = None;
                        }
                    }
                }
            }
        }
    }
}

/// Forgets what is old, then the longest untouched tenth.
fn make_room(counts: &mut HashMap<Key, Count>, now: Instant) {
    counts.retain(|_, count| count.last.plus_seconds(MEMORY) >= now);
    if counts.len() < ROOM {
        return;
    }
    let mut ages: Vec<Instant> = counts.values().map(|count| count.last).collect();
    let (_, oldest_kept, _) = ages.select_nth_unstable(ROOM / 10);
    let oldest_kept = *oldest_kept;
    counts.retain(|_, count| count.last > oldest_kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(1_800_000_000_000_000);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_sixth_attempt_waits_and_longer_each_time() {
        let throttle = Throttle::default();
        let keys = keys_of_sign_in("ada", address(1));
        for _ in 0..5 {
            assert!(throttle.attempt(&keys, START).is_ok());
        }
        let until = throttle.attempt(&keys, START).unwrap_err();
        assert_eq!(until, START.plus_seconds(FIRST_WAIT));
        assert!(throttle.attempt(&keys, until).is_ok());
        let later = throttle.attempt(&keys, until).unwrap_err();
        assert_eq!(later, until.plus_seconds(FIRST_WAIT));
        assert!(throttle.attempt(&keys, later).is_ok());
        assert_eq!(throttle.attempt(&keys, later).unwrap_err(), later.plus_seconds(2 * FIRST_WAIT));
        // Whoever owns the account is not locked out by a stranger elsewhere.
        assert!(throttle.attempt(&keys_of_sign_in("ada", address(2)), START).is_ok());
    }

    #[test]
    fn success_forgets_the_pair_but_not_the_network() {
        let throttle = Throttle::default();
        for round in 0..4 {
            for _ in 0..5 {
                let keys = keys_of_sign_in(&format!("victim-{round}"), address(1));
                assert!(throttle.attempt(&keys, START).is_ok());
                if let Ok(attempt) = throttle.attempt(&keys_of_sign_in("own", address(1)), START) {
                    attempt.succeeded();
                }
            }
        }
        assert!(throttle.attempt(&keys_of_sign_in("own", address(1)), START).is_err());
        assert!(throttle.attempt(&keys_of_sign_in("own", address(3)), START).is_ok());
    }

    #[test]
    fn what_others_use_up_opens_again_within_a_minute() {
        let throttle = Throttle::default();
        let mut now = START;
        for number in 0..60_u8 {
            if let Err(until) = throttle.attempt(&keys_of_sign_in("victim", address(number)), now) {
                assert!(until <= now.plus_seconds(60));
                now = until;
                let _ = throttle.attempt(&keys_of_sign_in("victim", address(number)), now).unwrap();
            }
        }
        assert!(now > START, "the account from everywhere was never slowed down");
    }

    #[test]
    fn neighbours_in_one_ipv6_network_count_together() {
        let first: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        let second: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        assert_eq!(network(first), network(second));
        assert_ne!(network(first), network("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.7".parse().unwrap()), address(7));
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..(ROOM as u32 + 100) {
            let account = AccountId(uuid::Uuid::from_u128(u128::from(number)));
            let now = START.plus_seconds(i64::from(number / 100));
            let _ = throttle.attempt(&keys_of_account(account), now).unwrap();
        }
        assert!(throttle.counts.lock().unwrap().len() <= ROOM);
    }
}
