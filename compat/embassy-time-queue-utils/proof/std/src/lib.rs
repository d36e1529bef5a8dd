//! Only for its tests: embassy's own time driver for std trusts the queue to say when its alarm has
//! to change, so a queue that said *no* wrongly would let a task sleep for ever.
