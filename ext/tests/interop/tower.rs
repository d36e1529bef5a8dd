//! A stack of tower's with our timeout in it.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use futures_util::FutureExt;
use moirai_timer_ext::Elapsed;
use moirai_timer_ext::interop::TowerTimeoutLayer;
use moirai_timer_std::test::VirtualClock;
use moirai_timer_std::{Timer, block_on};
use tower::util::BoxCloneService;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{MS, SECOND};

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// Takes as many seconds as it is told; refuses thirteen of them.
fn server(timer: Timer) -> BoxCloneService<u32, u32, Refused> {
    BoxCloneService::new(service_fn(move |seconds| {
        let timer = timer.clone();
        async move {
            timer.sleep(seconds * SECOND).await;
            if seconds == 13 { Err(Refused) } else { Ok(seconds) }
        }
    }))
}

#[test]
fn a_request_has_so_much_time_and_no_more() {
    let clock = VirtualClock::new();
    let (timer, start) = (clock.timer(), clock.now());
    let service = ServiceBuilder::new()
        .layer(TowerTimeoutLayer::on(timer.clone(), 20 * SECOND))
        .service(server(timer.clone()));
    block_on(clock.auto_advance(async {
        assert_eq!(service.clone().oneshot(19).await.unwrap(), 19);
        assert!(service.clone().oneshot(13).await.unwrap_err().is::<Refused>());
        assert_eq!(timer.now(), start + 32 * SECOND);
        assert!(service.clone().oneshot(21).await.unwrap_err().is::<Elapsed>());
        assert_eq!(timer.now(), start + 52 * SECOND);
    }));
    assert_eq!(clock.armed(), 0);
}

#[test]
fn layers_can_be_stacked_and_the_shorter_timeout_wins() {
    let clock = VirtualClock::new();
    let start = clock.now();
    let layer = |seconds| TowerTimeoutLayer::on(clock.timer(), seconds * SECOND);
    let service =
        ServiceBuilder::new().layer(layer(30)).layer(layer(10)).service(server(clock.timer()));
    let error = block_on(clock.auto_advance(service.oneshot(60))).unwrap_err();
    assert!(error.is::<Elapsed>());
    assert_eq!(clock.now(), start + 10 * SECOND);
}

#[test]
fn time_counts_from_the_call_and_not_from_the_poll() {
    let clock = VirtualClock::new();
    let mut service = ServiceBuilder::new()
        .layer(TowerTimeoutLayer::on(clock.timer(), 10 * SECOND))
        .service_fn(|()| pending::<Result<(), Infallible>>());
    let request = service.call(());
    block_on(clock.advance(10 * SECOND));
    assert!(request.now_or_never().expect("it is due").is_err());
}

#[test]
fn a_request_that_is_late_is_dropped_with_the_answer() {
    let alive = Rc::new(Cell::new(0));
    struct Counted(Rc<Cell<i32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let counter = alive.clone();
    let mut service =
        ServiceBuilder::new().layer(TowerTimeoutLayer::new(MS)).service_fn(move |()| {
            counter.set(counter.get() + 1);
            let counted = Counted(counter.clone());
            async move {
                let _counted = counted;
                pending::<Result<(), Infallible>>().await
            }
        });
    for _ in 0..3 {
        block_on(service.call(())).unwrap_err();
        assert_eq!(alive.get(), 0);
    }
}

#[test]
fn it_is_ready_when_the_service_is() {
    struct Lazy(u32);
    impl Service<()> for Lazy {
        type Response = ();
        type Error = Refused;
        type Future = std::future::Ready<Result<(), Refused>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Refused>> {
            self.0 += 1;
            match self.0 {
                1 => Poll::Pending,
                2 => Poll::Ready(Ok(())),
                _ => Poll::Ready(Err(Refused)),
            }
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok(()))
        }
    }
    let mut service = ServiceBuilder::new().layer(TowerTimeoutLayer::new(SECOND)).service(Lazy(0));
    block_on(poll_fn(|cx| {
        assert!(Service::<()>::poll_ready(&mut service, cx).is_pending());
        assert!(matches!(Service::<()>::poll_ready(&mut service, cx), Poll::Ready(Ok(()))));
        let refused = Service::<()>::poll_ready(&mut service, cx);
        assert!(matches!(refused, Poll::Ready(Err(error)) if error.is::<Refused>()));
        Poll::Ready(())
    }));
}
