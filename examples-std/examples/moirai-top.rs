//! A page on the terminal that shows what a timer in this process is doing, while a demonstration keeps it busy.
//!
//! All of it comes from `Timer::metrics` and `next_deadline`, and what these are for each shard, asked a
//! few times a second; what is shown is the difference from the time before. `q` quits. Where there is no terminal, a few
//! pages are printed.
//!
//! `cargo run --release --example moirai-top`

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{Lateness, Metrics, Timer, block_on};
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent};
use ratatui::layout::{Constraint::*, Layout};
use ratatui::widgets::{Bar, BarChart, BarGroup, Block, Paragraph, Row, Sparkline, Table};
use ratatui::{Frame, Terminal};
use smol::Executor;

const SHARDS: usize = 4;
/// Of the histogram.
const BARS: usize = 13;
/// Between two pages.
const PERIOD: Duration = Duration::from_millis(500);

fn main() -> io::Result<()> {
    let timer = Timer::builder().shards(SHARDS).build()?;
    demonstrate(&timer);
    let mut page = Page::new(timer);
    if !io::stdout().is_terminal() {
        return print(&mut page);
    }
    let mut terminal = ratatui::init();
    let result = run(&mut terminal, &mut page);
    ratatui::restore();
    result
}

fn run(terminal: &mut ratatui::DefaultTerminal, page: &mut Page) -> io::Result<()> {
    loop {
        page.refresh();
        terminal.draw(|frame| page.draw(frame))?;
        let next = Instant::now() + PERIOD;
        while event::poll(next.saturating_duration_since(Instant::now()))? {
            if let Event::Key(KeyEvent { code: KeyCode::Char('q'), .. }) = event::read()? {
                return Ok(());
            }
        }
    }
}

fn print(page: &mut Page) -> io::Result<()> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(100, 24));
    for _ in 0..3 {
        block_on(page.timer.sleep(PERIOD));
        page.refresh();
        let Ok(_) = terminal.draw(|frame| page.draw(frame));
        let text = terminal.backend().to_string();
        println!("{}", text.replace('"', ""));
        for part in ["│armed ", "panics 0", "fired, per second", "late by", "shards"] {
            assert!(text.contains(part), "the page lacks {part:?}");
        }
    }
    Ok(())
}

/// Three thousand tasks on as many threads as there are shards: some sleep, some have a timeout that is
/// not needed, some push a deadline away.
fn demonstrate(timer: &Timer) {
    static EXECUTOR: Executor<'_> = Executor::new();
    for number in 0..1_000_u64 {
        let pause = Duration::from_micros(10_000 + number * 977);
        let sleeping = timer.clone();
        let sleeper = async move {
            loop {
                sleeping.sleep(pause).await;
            }
        };
        let hurried = timer.clone();
        let requester = async move {
            loop {
                let _ = hurried.timeout(pause * 10, hurried.sleep(pause)).await;
            }
        };
        let idle = timer.clone();
        let connection = async move {
            let mut keep_alive = idle.sleep(Duration::from_secs(5));
            while idle.timeout(pause, &mut keep_alive).await.is_err() {
                keep_alive.reset_after(Duration::from_secs(5));
            }
        };
        EXECUTOR.spawn(sleeper).detach();
        EXECUTOR.spawn(requester).detach();
        EXECUTOR.spawn(connection).detach();
    }
    for _ in 0..SHARDS {
        thread::spawn(|| smol::block_on(EXECUTOR.run(std::future::pending::<()>())));
    }
}

/// What was last asked of the timer, and how it has changed.
struct Page {
    timer: Timer,
    at: Instant,
    shards: Vec<Metrics>,
    /// Since the time before.
    seconds: f64,
    before: Vec<Metrics>,
    /// Timers that fired in each period, the latest first.
    history: Vec<u64>,
}

impl Page {
    fn new(timer: Timer) -> Page {
        let shards = timer.shard_metrics();
        let (at, before) = (Instant::now(), shards.clone());
        Page { timer, at, shards, seconds: 1.0, before, history: Vec::new() }
    }

    fn refresh(&mut self) {
        let now = Instant::now();
        self.seconds = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        self.before = std::mem::replace(&mut self.shards, self.timer.shard_metrics());
        self.history.insert(0, self.rate(|shard| shard.fired) as u64);
        self.history.truncate(200);
    }

    /// Of all shards together, a second.
    fn rate(&self, count: fn(&Metrics) -> u64) -> f64 {
        let sum = |shards: &[Metrics]| shards.iter().map(count).sum::<u64>();
        (sum(&self.shards) - sum(&self.before)) as f64 / self.seconds
    }

    /// How many were how late since the time before: by powers of two, from a microsecond on.
    fn lateness(&self) -> [u64; BARS] {
        let mut counts = [0; BARS];
        for (shard, before) in self.shards.iter().zip(&self.before) {
            for (late, count) in shard.lateness.since(&before.lateness).buckets() {
                let micros = late.as_micros().max(1).ilog2() as usize;
                counts[micros.min(BARS - 1)] += count;
            }
        }
        counts
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [head, rates, body] =
            Layout::vertical([Length(4), Length(5), Fill(1)]).areas(frame.area());
        let [histogram, shards] = Layout::horizontal([Fill(1), Length(55)]).areas(body);

        let metrics = self.timer.metrics();
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        let until = |at: Option<Instant>| at.map_or("-".into(), |at| format!("{:.1?}", left(at)));
        let next = until(self.timer.next_deadline());
        let text = format!(
            "armed {}   slots {}   next deadline in {next}   full polls {}   panics {}\n\
             per second: {:.0} armed, {:.0} fired, {:.0} cancelled, {:.0} turns, {:.0} of them in vain",
            metrics.armed,
            metrics.slots,
            metrics.full_repolls,
            metrics.waker_panics,
            self.rate(|shard| shard.registered),
            self.rate(|shard| shard.fired),
            self.rate(|shard| shard.cancelled),
            self.rate(|shard| shard.turns),
            self.rate(|shard| shard.vain_turns),
        );
        frame.render_widget(
            Paragraph::new(text).block(Block::bordered().title("moirai-top (q quits)")),
            head,
        );
        frame.render_widget(
            Sparkline::default()
                .data(&self.history)
                .block(Block::bordered().title("fired, per second, the latest first")),
            rates,
        );

        let label = |power: usize| match Duration::from_micros(2 << power) {
            _ if power == BARS - 1 => "   later ".to_owned(),
            end => format!("< {end:>6.0?} "),
        };
        let counts = self.lateness();
        let bars: Vec<_> = counts
            .iter()
            .enumerate()
            .map(|(power, &count)| Bar::default().value(count).label(label(power)))
            .collect();
        frame.render_widget(
            BarChart::default()
                .direction(ratatui::layout::Direction::Horizontal)
                .data(BarGroup::default().bars(&bars))
                .bar_width(1)
                .bar_gap(0)
                .block(Block::bordered().title("late by")),
            histogram,
        );

        let next = self.timer.shard_next_deadlines();
        let shards_now = self.shards.iter().zip(&self.before).zip(next);
        let rows = shards_now.enumerate().map(|(number, ((now, then), next))| {
            let since: Lateness = now.lateness.since(&then.lateness);
            let fired = (now.fired - then.fired) as f64 / self.seconds;
            Row::new([
                number.to_string(),
                now.armed.to_string(),
                format!("{fired:.0}"),
                format!("{:.1?}", since.quantile(0.5)),
                format!("{:.1?}", since.quantile(0.99)),
                until(next),
            ])
        });
        frame.render_widget(
            Table::new(rows, [Length(5), Length(8), Length(8), Length(9), Length(9), Length(9)])
                .header(Row::new(["shard", "armed", "fired/s", "median", "99 %", "next in"]))
                .block(Block::bordered().title("shards")),
            shards,
        );
    }
}
