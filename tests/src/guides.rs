//! The guide, a module for each page of `docs/guide/src`: its programs are run as tests.

macro_rules! pages {
    ($($page:ident)*) => {$(
        #[doc = include_str!(concat!("../../docs/guide/src/", stringify!($page), ".md"))]
        mod $page {}
    )*};
}

pages! {
    start timeouts intervals deadlines streams queues clocks libraries precision driving testing
    seeing_inside firmware from_tokio from_async_io from_futures_timer from_embassy_time costs
    promises
}
