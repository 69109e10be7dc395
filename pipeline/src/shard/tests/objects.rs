//! A store among objects: the same store, and writers that cannot keep each other out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_executor::block_on;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::super::objects::Objects;
use super::*;

/// What somebody does.
type Deed = Box<dyn FnOnce() + Send>;

/// Objects where something happens to what is put next.
struct Unsteady {
    objects: Arc<InMemory>,
    /// What another machine does just before an object is put whose path holds this.
    before: Mutex<Option<(&'static str, Deed)>>,
    /// Whether the answer to the next manifest gets lost, so that it is put again by a client that repeats its requests.
    loses_an_answer: AtomicBool,
}

impl std::fmt::Debug for Unsteady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unsteady")
    }
}

impl std::fmt::Display for Unsteady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unsteady")
    }
}

#[async_trait]
impl ObjectStore for Unsteady {
    async fn put_opts(&self, path: &ObjectPath, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let deed = self.before.lock().unwrap().take_if(|(part, _)| path.as_ref().contains(*part));
        if let Some((_, deed)) = deed {
            // On a thread of its own, for it waits for answers as well.
            std::thread::spawn(deed).join().unwrap();
        }
        if path.as_ref().ends_with("manifest.json") && self.loses_an_answer.swap(false, Ordering::Relaxed) {
            self.objects.put_opts(path, payload.clone(), options.clone()).await?;
        }
        self.objects.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<ObjectPath>>) -> BoxStream<'static, Result<ObjectPath>> {
        self.objects.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

/// A view of objects through [`Unsteady`].
fn unsteady(objects: &Arc<InMemory>, loses_an_answer: bool) -> (Arc<Unsteady>, Location) {
    let loses_an_answer = AtomicBool::new(loses_an_answer);
    let unsteady = Arc::new(Unsteady { objects: Arc::clone(objects), before: Mutex::default(), loses_an_answer });
    (Arc::clone(&unsteady), Location::of(Objects::new(unsteady, "team/store", "memory://team/store/")))
}

#[test]
fn a_manifest_whose_answer_was_lost_is_committed() {
    let (objects, here, there) = two_views();
    store_at(&here, &[5]);
    let (_, flaky) = unsteady(&objects, true);
    let mut store = open_at(&flaky);
    let lock = store.lock().unwrap();
    store.commit(&lock, sample(5, 2)).unwrap();
    // It knows the version, and goes on from there.
    store.commit(&lock, sample(7, 1)).unwrap();
    assert_eq!(open_at(&there).commits().unwrap(), sample(0, 8).commits);
    let mut first = Store::create(&unsteady(&Arc::new(InMemory::new()), true).1, settings());
    let lock = first.lock().unwrap();
    first.commit(&lock, sample(0, 2)).unwrap();
}

#[test]
fn shards_that_were_cleared_away_under_a_slow_writer_are_named_by_no_manifest() {
    // The lock runs out while shards are written, or after the writer's last look at it.
    for part in ["vectors/", "manifest.json"] {
        let (objects, here, there) = two_views();
        store_at(&here, &[5]);
        let (slow, location) = unsteady(&objects, false);
        let mut store = open_at(&location);
        let lock = store.lock().unwrap();
        let clear = move || {
            block_on(objects.delete(&ObjectPath::from("team/store/lock"))).unwrap();
            let mut other = open_at(&there);
            let lock = other.lock().unwrap();
            let removed = other.clear(&lock, Duration::ZERO).unwrap().removed.len();
            assert!(removed == 6 || part == "vectors/", "all that a generation has: {removed}");
        };
        *slow.before.lock().unwrap() = Some((part, Box::new(clear)));
        let error = store.commit(&lock, sample(5, 2)).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. } | StoreError::Stale { .. }), "{error}");
        let store = open_at(&here);
        read_all(&store).unwrap();
        assert_eq!(store.commits().unwrap(), sample(0, 5).commits);
    }
}

/// Two views of the same objects, as two machines have them.
fn two_views() -> (Arc<InMemory>, Location, Location) {
    let objects = Arc::new(InMemory::new());
    let view = || Location::of(Objects::new(objects.clone(), "team/store", "memory://team/store/"));
    let (one, two) = (view(), view());
    (objects, one, two)
}

fn store_at(location: &Location, counts: &[u32]) -> Store {
    let mut store = Store::create(location, settings());
    let lock = store.lock().unwrap();
    for count in counts {
        store.commit(&lock, sample(store.manifest().next_commit, *count)).unwrap();
    }
    store
}

fn open_at(location: &Location) -> Store {
    Store::open(location).unwrap().unwrap()
}

#[test]
fn what_is_written_in_one_place_is_read_in_another() {
    let (_, here, there) = two_views();
    assert!(Store::open(&here).unwrap().is_none());
    store_at(&here, &[40, 25]);
    let store = open_at(&there);
    let whole = sample(0, 65);
    assert_eq!(store.commits().unwrap(), whole.commits);
    assert_eq!(store.edits().unwrap(), whole.edits);
    assert_eq!(store.chunks().unwrap(), whole.chunks);
    read_all(&store).unwrap();
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    assert_eq!(store.dir(), None);
    // The same rows make the same shards as in a folder.
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(store.manifest(), store_of(dir.path(), &[40, 25]).manifest());
}

#[test]
fn it_is_merged_cleared_and_set_aside_as_in_a_folder() {
    let (_, here, there) = two_views();
    let mut store = store_at(&here, &[9, 4, 2]);
    let early = open_at(&there);
    let lock = store.lock().unwrap();
    assert_eq!(store.merge(&lock, Merging::Everything).unwrap().into, 6);
    assert_eq!(store.commits().unwrap(), sample(0, 15).commits);
    read_all(&early).unwrap();
    assert_eq!(store.clear(&lock, Duration::ZERO).unwrap().removed.len(), 18);
    drop(lock);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    let aside = Store::set_aside(&here).unwrap();
    assert!(aside.ends_with("set-aside/5"), "{aside:?}");
    assert!(Store::open(&there).unwrap().is_none());
    store_at(&there, &[3]);
    assert_eq!(open_at(&here).commits().unwrap().len(), 3);
}

#[test]
fn of_two_writers_that_both_believe_to_be_alone_one_loses_and_nothing_else_is_lost() {
    let (objects, here, there) = two_views();
    store_at(&here, &[5]);
    let (mut one, mut two) = (open_at(&here), open_at(&there));
    let lock_of_one = one.lock().unwrap();
    assert!(matches!(two.lock(), Err(StoreError::Locked { .. })));
    // The lock is taken from a writer that is thought to be dead, and is not.
    block_on(objects.delete(&ObjectPath::from("team/store/lock"))).unwrap();
    let lock_of_two = two.lock().unwrap();
    two.commit(&lock_of_two, sample(5, 2)).unwrap();
    let error = one.commit(&lock_of_one, sample(5, 3)).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let store = open_at(&here);
    assert_eq!(store.commits().unwrap(), sample(0, 7).commits);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    // The loser's lock is not its own any more, so that dropping it frees nothing.
    drop(lock_of_one);
    assert!(matches!(open_at(&here).lock(), Err(StoreError::Locked { .. })));
    drop(lock_of_two);
    open_at(&here).lock().unwrap();
}

#[test]
fn the_manifest_is_replaced_only_by_who_has_seen_the_one_before() {
    let (objects, here, there) = two_views();
    let (first, other) = (Store::create(&here, settings()), Store::create(&there, settings()));
    let (here, there) = (first.location().clone(), other.location().clone());
    let (one, two) = (here.medium(), there.medium());
    let version = one.replace_manifest(b"one", None).unwrap().unwrap();
    assert_eq!(two.replace_manifest(b"two", None).unwrap(), None);
    let next = two.replace_manifest(b"two", Some(&version)).unwrap().unwrap();
    assert_eq!(one.replace_manifest(b"three", Some(&version)).unwrap(), None);
    assert_eq!(one.read_manifest(100).unwrap(), Some((b"two".to_vec(), next)));
    assert_eq!(one.read_manifest(2).unwrap().unwrap().0.len(), 3);
    let got = block_on(async { objects.get(&ObjectPath::from("team/store/manifest.json")).await?.bytes().await });
    assert_eq!(&*got.unwrap(), b"two");
}

#[test]
fn a_shard_that_does_not_stay_in_memory_is_read_in_ranges() {
    let (_, here, there) = two_views();
    store_at(&there, &[500]);
    let store = open_at(&there);
    read_all(&store).unwrap();
    // A view that keeps nothing in memory, of shards that were verified before.
    let ranged = open_at(&here);
    for shard in &store.manifest().shards {
        ranged.set_verified(&shard.blake3);
    }
    assert_eq!(ranged.chunks().unwrap(), sample(0, 500).chunks);
    assert_eq!(ranged.edits().unwrap(), sample(0, 500).edits);
}

#[test]
fn damage_among_objects_is_named() {
    let (objects, here, _) = two_views();
    let store = store_at(&here, &[20]);
    let shard = store.manifest().shards[1].clone();
    let path = ObjectPath::from(format!("team/store/{}", shard.file()));
    let view = || Location::of(Objects::new(objects.clone(), "team/store", "memory://team/store/"));
    for bad in [&b""[..], &b"PAR1"[..], &vec![0; shard.bytes as usize][..]] {
        block_on(objects.put(&path, bad.to_vec().into())).unwrap();
        let error = read_all(&open_at(&view())).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { what, .. } if *what == shard.file()), "{error}");
    }
    block_on(objects.delete(&path)).unwrap();
    let error = read_all(&open_at(&view())).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
}
