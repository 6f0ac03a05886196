//! A copy of a remote repository, as far as a scan needs it: first commits and trees of all references, then the files that the
//! scan asks for, by id.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use gix::ObjectId;
use url::Url;

use super::client::Client;
use super::conversation::{Arrived, Conversation, References};
use super::error::RemoteError;
use super::store::Store;

/// Most bytes that are fetched of one repository.
pub(crate) const SIZE_LIMIT: u64 = 2 << 30;
/// How long fetching one repository may take altogether.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);
/// How many objects are asked for at once.
const BATCH: usize = 20_000;
/// How many requests are spent on finding out which of some objects the server doesn't hand out.
const SEARCH_LIMIT: usize = 64;
/// Most files that are fetched of one repository.
const FILE_LIMIT: usize = 200_000;

/// Commits to have besides those of the references.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heads {
    /// Named by the operator: whose they are stays open.
    pub(crate) cited: Vec<String>,
    /// Pushed to the repository itself, as the forge says; in seconds since 1970 when it saw that.
    pub(crate) pushed: BTreeMap<String, i64>,
    /// When a commit was seen, for what can't be had.
    pub(crate) seen: BTreeMap<String, String>,
}

/// Something that is missing in a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Stable identifier.
    pub(crate) kind: &'static str,
    /// For people.
    pub(crate) what: String,
}

/// How many odd names of references are said one by one.
const ODD_MAX: usize = 100;

/// What was fetched so far.
pub(crate) struct Copy {
    store: Store,
    conversation: Conversation,
    host: String,
    left: u64,
    deadline: tokio::time::Instant,
    asked: HashSet<ObjectId>,
    tips_only: bool,
    /// Commits that are here besides those of the references.
    pub(crate) extra: BTreeSet<String>,
    /// What can't be had.
    pub(crate) gaps: Vec<Gap>,
}

impl Copy {
    /// Fetches commits and trees of all references and of further commits; of what is `present` only the default branch's last
    /// commit, where the server can cut a history off and says which branch that is.
    pub(crate) async fn begin(
        client: &Client,
        url: &Url,
        heads: &Heads,
        limit: u64,
        present: bool,
        below: &Path,
    ) -> Result<Self, RemoteError> {
        let conversation = Conversation::open(client, url).await?;
        let store = Store::new(below, conversation.hash)?;
        let knows_depth = conversation.knows_depth;
        let mut copy = Self {
            store,
            conversation,
            host: url.host_str().unwrap_or_default().to_owned(),
            left: limit,
            deadline: tokio::time::Instant::now() + TIME_LIMIT,
            asked: HashSet::new(),
            tips_only: present && knows_depth,
            extra: BTreeSet::new(),
            gaps: Vec::new(),
        };
        let mut references = copy.wanted(client).await?;
        let mut arrived = copy.get(client, &tips(&references), &[]).await;
        if let Err(RemoteError::Said { .. }) = arrived {
            // Somebody pushed between the list and the fetch.
            references = copy.wanted(client).await?;
            arrived = copy.get(client, &tips(&references), &[]).await;
        }
        copy.store.cut_off(&arrived?.shallow)?;
        // Everything else that is fetched is fetched whole.
        copy.tips_only = false;
        let mut tips = tips(&references);
        copy.store.name(&references)?;
        if references.odd.len() > ODD_MAX {
            copy.gap(
                "broken-reference",
                format!("{} references have names that are none; the first follow", references.odd.len()),
            );
        }
        for name in references.odd.iter().take(ODD_MAX) {
            copy.gap("broken-reference", format!("a reference is called `{name}`, which is no name for one"));
        }
        // The server is told of the branch that most leads from first.
        let main = references.head.as_ref().and_then(|name| references.list.get(name));
        tips.sort_by_key(|id| Some(id) != main);
        copy.get_heads(client, heads, &tips).await;
        Ok(copy)
    }

    /// The references whose commits are fetched.
    async fn wanted(&mut self, client: &Client) -> Result<References, RemoteError> {
        let mut references = self.conversation.references(client).await?;
        if self.tips_only {
            match &references.head {
                Some(branch) => references.list.retain(|name, _| name == branch),
                None => self.tips_only = false,
            }
        }
        Ok(references)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.store.path()
    }

    /// Fetches files that a scan asked for; whether there is anything new to be seen.
    pub(crate) async fn complete(&mut self, client: &Client, files: &BTreeSet<ObjectId>) -> bool {
        let wanted: Vec<ObjectId> = files.iter().filter(|id| self.asked.insert(**id)).copied().collect();
        if wanted.is_empty() {
            return false;
        }
        if self.asked.len() > FILE_LIMIT {
            self.gap("over-limit", format!("more than {FILE_LIMIT} files would have to be fetched"));
            return false;
        }
        let mut new = false;
        for batch in wanted.chunks(BATCH) {
            let (got, missing, failure) = self.get_what_there_is(client, batch, &[]).await;
            new |= got;
            if let Some(error) = failure {
                self.gap(error.kind(), format!("fetching {} files: {error}", missing.len()));
                return new;
            }
            for id in missing.iter().take(100) {
                self.gap("missing-object", format!("the server doesn't hand out file {id}"));
            }
        }
        new
    }

    async fn get_heads(&mut self, client: &Client, heads: &Heads, tips: &[ObjectId]) {
        let mut here: HashSet<ObjectId> = tips.iter().copied().collect();
        let names: BTreeSet<&String> = heads.cited.iter().chain(heads.pushed.keys()).collect();
        // An id of the other kind of repositories names nothing here.
        let id_of =
            |name: &str, hash| ObjectId::from_hex(name.as_bytes()).ok().filter(|id| id.kind() == hash);
        let hash = self.conversation.hash;
        let wanted: Vec<ObjectId> =
            names.iter().filter_map(|name| id_of(name, hash)).filter(|id| !here.contains(id)).collect();
        if !wanted.is_empty() {
            let (_, missing, failure) = self.get_what_there_is(client, &wanted, tips).await;
            if let Some(error) = failure {
                self.gap(error.kind(), format!("fetching {} commits: {error}", missing.len()));
            }
            here.extend(wanted);
            missing.iter().for_each(|id| {
                here.remove(id);
            });
        }
        for name in names {
            if id_of(name, hash).is_some_and(|id| here.contains(&id)) {
                self.extra.insert(name.clone());
                continue;
            }
            let since = match heads.seen.get(name) {
                Some(time) => format!("since {time}"),
                None => String::from("since an unknown time"),
            };
            self.gap(
                "history-incomplete",
                format!("history-incomplete {since}: the server doesn't hand out commit {name}"),
            );
        }
    }

    /// Fetches all of some objects that can be had. One that the server doesn't have makes it refuse all of a request, so those
    /// are found out one by one, as it names them, or by halves.
    async fn get_what_there_is(
        &mut self,
        client: &Client,
        wanted: &[ObjectId],
        haves: &[ObjectId],
    ) -> (bool, Vec<ObjectId>, Option<RemoteError>) {
        let mut open = VecDeque::from([wanted.to_vec()]);
        let (mut got, mut missing, mut requests) = (false, Vec::new(), 0);
        while let Some(mut group) = open.pop_front() {
            if requests == SEARCH_LIMIT {
                missing.extend(group);
                continue;
            }
            requests += 1;
            match self.get(client, &group, haves).await {
                Ok(_) => got = true,
                Err(RemoteError::Said { said, .. }) => {
                    let named = group.iter().position(|id| said.contains(&id.to_string()));
                    if let Some(at) = named {
                        missing.push(group.swap_remove(at));
                        open.extend((!group.is_empty()).then_some(group));
                    } else if group.len() > 1 {
                        let rest = group.split_off(group.len() / 2);
                        open.extend([group, rest]);
                    } else {
                        missing.extend(group);
                    }
                }
                Err(error) => {
                    missing.extend(group);
                    missing.extend(open.into_iter().flatten());
                    return (got, missing, Some(error));
                }
            }
        }
        (got, missing, None)
    }

    /// One fetch, kept. A connection that breaks is made once more.
    async fn get(
        &mut self,
        client: &Client,
        wants: &[ObjectId],
        haves: &[ObjectId],
    ) -> Result<Arrived, RemoteError> {
        match self.get_once(client, wants, haves).await {
            Err(RemoteError::Connection { .. }) => self.get_once(client, wants, haves).await,
            done => done,
        }
    }

    async fn get_once(
        &mut self,
        client: &Client,
        wants: &[ObjectId],
        haves: &[ObjectId],
    ) -> Result<Arrived, RemoteError> {
        if wants.is_empty() {
            return Ok(Arrived::default());
        }
        let incoming = self.store.incoming();
        let fetch = self.conversation.fetch(client, wants, haves, self.tips_only, &incoming, self.left);
        let arrived = tokio::time::timeout_at(self.deadline, fetch)
            .await
            .unwrap_or(Err(RemoteError::TimedOut(TIME_LIMIT.as_secs())))?;
        self.left = self.left.saturating_sub(arrived.bytes);
        let (store, host) = (&self.store, &self.host);
        tokio::task::block_in_place(|| store.keep(host))?;
        Ok(arrived)
    }

    fn gap(&mut self, kind: &'static str, what: String) {
        self.gaps.push(Gap { kind, what });
    }
}

/// What the references name.
fn tips(references: &References) -> Vec<ObjectId> {
    let distinct: BTreeSet<ObjectId> = references.list.values().copied().chain(references.detached).collect();
    distinct.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Client::new(false, BTreeMap::new(), Duration::ZERO).unwrap()
    }

    fn copy(folder: &Path) -> Copy {
        Copy {
            store: Store::new(folder, gix::hash::Kind::Sha1).unwrap(),
            conversation: super::super::conversation::conversation(),
            host: String::from("forge.invalid"),
            left: SIZE_LIMIT,
            deadline: tokio::time::Instant::now() + TIME_LIMIT,
            asked: HashSet::new(),
            tips_only: false,
            extra: BTreeSet::new(),
            gaps: Vec::new(),
        }
    }

    fn files(count: usize) -> BTreeSet<ObjectId> {
        (0..count).map(|number| ObjectId::from_hex(format!("{number:040x}").as_bytes()).unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn as_many_files_as_may_be_are_asked_for_and_one_more_is_too_many() {
        let folder = tempfile::tempdir().unwrap();
        for (count, kind) in [(FILE_LIMIT, "unreachable"), (FILE_LIMIT + 1, "over-limit")] {
            let mut copy = copy(folder.path());
            assert!(!copy.complete(&client(), &files(count)).await);
            assert_eq!(copy.gaps.iter().map(|gap| gap.kind).collect::<Vec<_>>(), [kind]);
            assert!(!copy.complete(&client(), &files(count)).await, "nothing is asked for twice");
            assert_eq!(copy.gaps.len(), 1);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn when_the_time_is_over_nothing_more_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = copy(folder.path());
        let wants: Vec<ObjectId> = files(1).into_iter().collect();
        let early = copy.get(&client(), &wants, &[]).await.unwrap_err();
        assert!(matches!(early, RemoteError::Connection { .. }), "{early}");
        copy.deadline = tokio::time::Instant::now();
        let late = copy.get(&client(), &wants, &[]).await.unwrap_err();
        assert_eq!(late, RemoteError::TimedOut(TIME_LIMIT.as_secs()));
    }
}
