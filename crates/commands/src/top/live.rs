//! The live view in the terminal.

use std::io;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};
use telemetry::TopSnapshot;

use super::picture::Picture;
use super::text;
use crate::{CommandProblem, problem};

/// What the last line says.
const KEYS: &str = "q: quit";

/// Draws until a key ends it. `look` asks the server; a failure is shown and tried again.
pub fn run(
    interval: Duration,
    mut look: impl FnMut() -> Result<TopSnapshot, CommandProblem>,
) -> Result<(), CommandProblem> {
    let mut before = look()?;
    // It restores the terminal also if the program fails in between.
    let mut terminal = ratatui::try_init().map_err(problem)?;
    let drawn = (|| -> io::Result<()> {
        let mut picture = Picture::between(&before, &before);
        let mut trouble = None;
        loop {
            terminal.draw(|frame| draw(frame, &picture, trouble.as_deref()))?;
            if wants_to_quit(interval)? {
                return Ok(());
            }
            match look() {
                Ok(now) => {
                    picture = Picture::between(&before, &now);
                    (before, trouble) = (now, None);
                }
                Err(error) => trouble = Some(error.to_string()),
            }
        }
    })();
    ratatui::try_restore().map_err(problem)?;
    drawn.map_err(problem)
}

/// Waits for a key for `interval`.
fn wants_to_quit(interval: Duration) -> io::Result<bool> {
    let end = Instant::now() + interval;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        if let Event::Key(key) = event::read()?
            && is_quit(&key)
        {
            return Ok(true);
        }
    }
}

fn is_quit(key: &KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    key.kind == KeyEventKind::Press && (interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// Draws one picture.
fn draw(frame: &mut Frame<'_>, picture: &Picture, trouble: Option<&str>) {
    let [head, clients, middle, below, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(text::head(picture).join("\n")), head);
    let [left, right] = halves(clients);
    let [middle_left, middle_right] = halves(middle);
    let places = [left, right, middle_left, middle_right, below];
    for ((title, rows), place) in text::lists(picture).into_iter().zip(places) {
        let block = Block::bordered().title(title);
        frame.render_widget(Paragraph::new(rows.join("\n")).block(block), place);
    }
    let foot_line = trouble.map_or_else(|| Line::raw(KEYS), |text| Line::raw(text.to_owned()));
    frame.render_widget(foot_line.style(Style::new().add_modifier(Modifier::DIM)), foot);
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests::looks;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(width: u16, height: u16, trouble: Option<&str>) -> String {
        let (before, now) = looks();
        let picture = Picture::between(&before, &now);
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &picture, trouble)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn all_lists_are_on_the_screen() {
        let screen = shown(140, 40, None);
        for words in
            ["7 connections", "Busiest clients", "sensor-7", "Slow or throttled", "Busiest topics", "dev/7"]
        {
            assert!(screen.contains(words), "{words} is missing in\n{screen}");
        }
        assert!(screen.contains("Refused") && screen.contains("House") && screen.contains("q: quit"));
    }

    #[test]
    fn a_small_screen_and_a_lost_server_are_no_failure() {
        shown(1, 1, None);
        shown(20, 5, None);
        assert!(shown(80, 24, Some("the server's API does not answer")).contains("does not answer"));
    }

    #[test]
    fn q_escape_and_control_c_quit() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        assert!(is_quit(&key(KeyCode::Char('q'), KeyModifiers::NONE)));
        assert!(is_quit(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(is_quit(&key(KeyCode::Esc, KeyModifiers::NONE)));
        assert!(!is_quit(&key(KeyCode::Char('c'), KeyModifiers::NONE)));
    }
}
