//! The workers: how many there are, and whom each of them waits for.
//!
//! A worker that reads a long body, or writes a long answer, goes at its client's pace. Before it
//! does, there must be another one that waits for requests: else it starts one. So clients that
//! stall have the workers grow in number, up to a limit, and nobody waits behind them; those that
//! have nothing to do end after a while. At the limit, who would have to be waited for is refused.
//!
//! Invariant: a lock is held to read or to write what it guards, never to wait for a client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::front::Extent;
use super::socket::Socket;

/// What a worker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The body of a request that it has the head of.
    Body,
    /// The same of a body in chunks.
    Chunks,
    /// Nothing of the client's: a body that it has sent is merged.
    Merge,
    /// The end of an answer: it decides on it, or writes it.
    Answer,
}

/// What a worker is busy with.
#[derive(Clone)]
pub struct Work {
    /// Whose request it is.
    pub peer: Option<SocketAddr>,
    /// What is waited for.
    pub task: Task,
    /// Since when.
    pub since: Instant,
    /// For so long that the reading of this connection has been ended.
    pub late: Option<Arc<Socket>>,
}

/// What one worker does.
#[derive(Default)]
pub struct Post {
    work: Mutex<Option<Work>>,
    body_bytes: AtomicUsize,
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request.
    pub fn begin(&self, peer: Option<SocketAddr>) {
        *self.lock() = Some(Work {
            peer,
            task: Task::Answer,
            since: Instant::now(),
            late: None,
        });
    }

    /// Goes on to another task of the same request.
    pub fn go_on(&self, task: Task) {
        if let Some(work) = &mut *self.lock() {
            work.task = task;
            work.since = Instant::now();
        }
    }

    /// Notes that the client it waits for is late, if it still does.
    pub fn mark_late(&self, late: &Work, connection: &Arc<Socket>) {
        if let Some(work) = &mut *self.lock()
            && (work.peer, work.since) == (late.peer, late.since)
        {
            work.late = Some(Arc::clone(connection));
        }
    }

    /// Is done with the request.
    pub fn end(&self) {
        *self.lock() = None;
    }

    /// What it is busy with, if with anything.
    pub fn work(&self) -> Option<Work> {
        self.lock().clone()
    }

    /// How much of the body has been read.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes.load(SeqCst)
    }
}

/// Whom it is that may have to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// One that sends.
    Sender,
    /// One that reads. For these, there always are some workers that senders do not get.
    Reader,
}

/// All workers of a front end.
pub struct Workers {
    posts: Mutex<Vec<Arc<Post>>>,
    count: AtomicUsize,
    idle: AtomicUsize,
    standing: usize,
    count_max: usize,
    /// Of the bodies that are there, whole or in part.
    body_bytes: AtomicUsize,
    body_bytes_max: usize,
    /// Of the long bodies that are being merged.
    merging_bytes: Mutex<usize>,
    merged: Condvar,
    merging_bytes_max: usize,
}

/// A body is not refused for the sake of others as long as it is no longer than this.
const SMALL_BODY_BYTES_MAX: usize = 256 << 10;

/// So many of the workers beyond the standing ones are kept for those that read: one in so many.
const READERS_SHARE: usize = 8;

impl Workers {
    /// None yet.
    pub fn new(extent: &Extent) -> Workers {
        Workers {
            posts: Mutex::default(),
            count: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            standing: extent.workers,
            count_max: extent.workers + extent.more_workers_max,
            body_bytes: AtomicUsize::new(0),
            body_bytes_max: extent.body_bytes_max,
            merging_bytes: Mutex::new(0),
            merged: Condvar::new(),
            merging_bytes_max: extent.merging_bytes_max,
        }
    }

    fn posts(&self) -> MutexGuard<'_, Vec<Arc<Post>>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// How many of them have a request.
    pub fn busy(&self) -> usize {
        self.count().saturating_sub(self.idle.load(SeqCst))
    }

    /// How many have been started beyond those that stay.
    pub fn beyond_standing(&self) -> usize {
        self.count().saturating_sub(self.standing)
    }

    /// How many may be started beyond those that stay.
    pub fn more_max(&self) -> usize {
        self.count_max - self.standing
    }

    /// True if half of those are taken that may be started, or half of the memory for bodies.
    pub fn are_scarce(&self) -> bool {
        self.beyond_standing() * 2 > self.more_max()
            || self.body_bytes.load(SeqCst) > self.body_bytes_max / 2
    }

    /// Counts more of a body, which is kept until [`Workers::forget_body`]; false if there is no
    /// memory left for long ones.
    pub fn keep_body(&self, post: &Post, more: usize) -> bool {
        let of_this = post.body_bytes.fetch_add(more, SeqCst) + more;
        let of_all = self.body_bytes.fetch_add(more, SeqCst) + more;
        of_this <= SMALL_BODY_BYTES_MAX || of_all <= self.body_bytes_max
    }

    /// The body that a worker had is not kept any longer.
    pub fn forget_body(&self, post: &Post) {
        let bytes = post.body_bytes.swap(0, SeqCst);
        if bytes > 0 {
            self.body_bytes.fetch_sub(bytes, SeqCst);
        }
    }

    /// True if one was started that does not run yet.
    pub fn has_newcomer(&self) -> bool {
        self.posts().len() < self.count()
    }

    /// True if someone waits for requests while the caller does not.
    pub fn has_idle(&self) -> bool {
        self.idle.load(SeqCst) > 0
    }

    /// Makes room for one more, unless there are as many as there may be.
    pub fn hire_for(&self, client: Client) -> bool {
        let kept = match client {
            Client::Sender => self.more_max() / READERS_SHARE,
            Client::Reader => 0,
        };
        let max = self.count_max - kept;
        let hire = |count| (count < max).then_some(count + 1);
        self.count.fetch_update(SeqCst, SeqCst, hire).is_ok()
    }

    /// Makes room for one that stays.
    pub fn hire_standing(&self) {
        self.count.fetch_add(1, SeqCst);
    }

    /// Ends one, or what [`Workers::hire_for`] has made room for.
    pub fn dismiss(&self) {
        self.count.fetch_sub(1, SeqCst);
    }

    /// Merges a body when there is memory for it: to read one takes many times its length.
    pub fn merge_in_turn<T>(&self, body_bytes: usize, merge: impl FnOnce() -> T) -> T {
        if body_bytes <= SMALL_BODY_BYTES_MAX {
            return merge();
        }
        let may_not_yet =
            |merging: &mut usize| *merging > 0 && *merging + body_bytes > self.merging_bytes_max;
        let merging = self.merging_bytes.lock();
        let merging = merging.unwrap_or_else(PoisonError::into_inner);
        let merging = self.merged.wait_while(merging, may_not_yet);
        *merging.unwrap_or_else(PoisonError::into_inner) += body_bytes;
        let _merging = Merging(self, body_bytes);
        merge()
    }

    /// The post of a worker that begins.
    pub fn enter(&self) -> Arc<Post> {
        let post = Arc::new(Post::default());
        self.posts().push(Arc::clone(&post));
        post
    }

    /// A worker ends.
    pub fn leave(&self, post: &Arc<Post>) {
        self.posts().retain(|other| !Arc::ptr_eq(other, post));
        self.dismiss();
    }

    /// A worker waits for a request as long as this lives.
    pub fn idle(&self) -> Idle<'_> {
        self.idle.fetch_add(1, SeqCst);
        Idle(&self.idle)
    }

    /// What all of them are busy with.
    pub fn works(&self) -> Vec<(Arc<Post>, Work)> {
        let posts = self.posts();
        let busy = posts
            .iter()
            .filter_map(|post| Some((Arc::clone(post), post.work()?)));
        busy.collect()
    }
}

/// A worker that waits for a request.
pub struct Idle<'a>(&'a AtomicUsize);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A long body is being merged.
struct Merging<'a>(&'a Workers, usize);

impl Drop for Merging<'_> {
    fn drop(&mut self) {
        let Merging(workers, body_bytes) = self;
        let merging = workers.merging_bytes.lock();
        *merging.unwrap_or_else(PoisonError::into_inner) -= *body_bytes;
        workers.merged.notify_all();
    }
}
