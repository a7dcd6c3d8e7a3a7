//! What keys, the mouse and new tasks make of the screen's state.

use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn item(id: &str, state: State) -> Result<Item, Box<dyn std::error::Error>> {
    let words = format!("{id} {state}");
    let (id, time) = (TaskId::parse(id)?, "3s".to_owned());
    Ok(Item { id, state: Some(state), time, percent: None, is_estimate: false, silence: None, words })
}

fn app() -> Result<App, Box<dyn std::error::Error>> {
    let mut app = App::new(80, 24);
    app.set_tasks(vec![
        item("c-1", State::Running)?,
        item("b-1", State::Failed)?,
        item("a-1", State::Running)?,
    ]);
    app.set_log(lines(0..100));
    Ok(app)
}

fn lines(numbers: Range<u64>) -> Vec<LogLine> {
    numbers.map(|n| LogLine { offset: n * 10, is_aside: false, text: format!("Line {n}") }).collect()
}

fn press(app: &mut App, keys: &str) -> Action {
    let code = |c| match c {
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        '<' => KeyCode::PageUp,
        c => KeyCode::Char(c),
    };
    keys.chars().map(|c| app.key(code(c).into())).last().unwrap_or(Action::Draw)
}

fn chosen(app: &App) -> &str {
    app.current().map_or("", |item| item.id.as_str())
}

#[test]
fn the_chosen_one_stays_chosen() -> Outcome {
    let mut app = app()?;
    press(&mut app, "jjj");
    assert_eq!(chosen(&app), "a-1");
    press(&mut app, "k");
    assert_eq!(chosen(&app), "b-1");
    app.set_tasks(vec![item("d-1", State::Queued)?, item("b-1", State::Failed)?]);
    assert_eq!((chosen(&app), app.chosen), ("b-1", 1));
    app.set_tasks(vec![item("d-1", State::Queued)?]);
    assert_eq!(chosen(&app), "d-1");
    app.set_tasks(Vec::new());
    assert_eq!(press(&mut app, "jkca"), Action::Draw);
    assert_eq!(chosen(&app), "");
    Ok(())
}

#[test]
fn tasks_are_filtered_by_all_words() -> Outcome {
    let mut app = app()?;
    press(&mut app, "fRunn a");
    assert_eq!((app.items.len(), chosen(&app)), (1, "a-1"));
    press(&mut app, "\nj");
    assert_eq!((app.items.len(), chosen(&app)), (1, "a-1"));
    press(&mut app, "f\x1b");
    assert_eq!((app.items.len(), chosen(&app)), (3, "a-1"));
    Ok(())
}

#[test]
fn cancelling_is_asked_for_first() -> Outcome {
    let mut app = app()?;
    let id = TaskId::parse("c-1")?;
    assert_eq!(press(&mut app, "c"), Action::Draw);
    assert_eq!(press(&mut app, "n"), Action::Draw);
    assert_eq!((app.message.as_str(), &app.mode), ("c-1 goes on", &Mode::Browse));
    press(&mut app, "c");
    // What is chosen by others meanwhile is not what was asked about.
    app.set_tasks(vec![item("b-1", State::Running)?]);
    assert_eq!(press(&mut app, "y"), Action::Cancel(id));
    app.set_tasks(vec![item("b-1", State::Failed)?]);
    assert_eq!((press(&mut app, "cy"), app.mode.clone()), (Action::Draw, Mode::Browse));
    assert_eq!(press(&mut app, "a"), Action::Attach(TaskId::parse("b-1")?));
    assert_eq!(press(&mut app, "?q"), Action::Draw);
    assert_eq!(press(&mut app, "q"), Action::Quit);
    Ok(())
}

#[test]
fn a_log_that_is_read_stays_where_it_is() -> Outcome {
    let mut app = app()?;
    let rows = app.visible().len();
    assert_eq!(app.visible().end, 100);
    press(&mut app, "<");
    assert_eq!(app.visible().end, 101 - rows);
    app.set_log(lines(20..150));
    assert_eq!(app.visible().end, 81 - rows);
    app.set_log(lines(140..300));
    assert_eq!(app.visible(), 0..rows);
    app.key(KeyCode::End.into());
    assert_eq!((app.visible().end, app.anchor), (160, None));
    app.set_log(lines(0..2));
    assert_eq!(app.visible(), 0..2);
    Ok(())
}

#[test]
fn the_log_is_searched_upwards() -> Outcome {
    let mut app = app()?;
    press(&mut app, "/LINE 4\n");
    assert_eq!((app.visible().end, app.search.as_str()), (50, "line 4"));
    press(&mut app, "n");
    assert_eq!(app.visible().end, 49);
    press(&mut app, "N");
    assert_eq!(app.visible().end, 50);
    press(&mut app, "N");
    assert_eq!(app.message, "no more 'line 4'");
    Ok(())
}

#[test]
fn the_mouse_chooses_and_scrolls() -> Outcome {
    let mut app = app()?;
    let areas = app.areas();
    let at = |kind, row| MouseEvent { kind, column: 2, row, modifiers: KeyModifiers::NONE };
    app.mouse(at(MouseEventKind::Down(MouseButton::Left), areas.tasks.y + 2));
    assert_eq!(chosen(&app), "a-1");
    app.mouse(at(MouseEventKind::ScrollUp, areas.tasks.y));
    assert_eq!(chosen(&app), "b-1");
    app.set_log(lines(0..100));
    app.mouse(at(MouseEventKind::ScrollUp, areas.body.y));
    assert_eq!(app.visible().end, 97);
    app.mouse(at(MouseEventKind::ScrollDown, areas.body.y));
    assert_eq!(app.anchor, None);
    Ok(())
}
