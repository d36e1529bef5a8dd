//! Nothing, in the shape of [`told`](super).

use std::any::Any;
use std::io;

use moirai_timer_core::Ticks;

use crate::builder::Builder;
use crate::shards::Shard;

#[derive(Debug)]
pub(crate) struct Teller;

pub(crate) struct Thread;

pub(crate) struct Turn;

impl Teller {
    pub(crate) fn new(_: &Builder, _: usize) -> Teller {
        Teller
    }

    pub(crate) fn no_thread(&self, _: &io::Error) {}

    pub(crate) fn thread(&self) -> Thread {
        Thread
    }

    pub(crate) fn grown(&self, _: u32) {}

    pub(crate) fn shut_down(&self) {}

    pub(crate) fn waker_panicked(&self, _: &(dyn Any + Send)) {}

    pub(crate) fn stranded(&self, _: &Shard) {}

    #[inline]
    pub(crate) fn turn(&self, _: &[Shard]) -> Turn {
        Turn
    }
}

impl Turn {
    #[inline]
    pub(crate) fn end(self, _: &[Shard], _: Option<Ticks>) {}
}
