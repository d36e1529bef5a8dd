//! What is measured, and what measures it.

#![no_std]

pub mod clock;
pub mod peers;
#[path = "../../../compat/embassy-time-queue-utils/src/queue_generic.rs"]
#[allow(dead_code, unexpected_cfgs)]
pub mod queue_generic;
#[path = "../../../compat/embassy-time-queue-utils/src/queue_integrated.rs"]
#[allow(dead_code)]
pub mod queue_integrated;
pub mod rounds;
mod task;
