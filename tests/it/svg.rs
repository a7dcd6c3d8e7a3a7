//! A terminal's screen drawn as SVG: what a picture in the README is made of.
//!
//! Every cell stands where it stood on the screen, whatever font the reader has: each run of equal cells is told how
//! wide it must be. Nothing is loaded from anywhere else.

use std::fmt::Write;
use std::num::NonZero;

use unicode_width::UnicodeWidthStr;
use vt100::{Cell, Color, Parser};

/// The size of a cell, in pixels, and the margin around all of them.
const CELL: (usize, usize) = (8, 17);
const MARGIN: usize = 12;

/// What a cell looks like without its text.
#[derive(PartialEq, Clone, Copy)]
struct Look {
    ink: &'static str,
    paper: &'static str,
    bold: bool,
    faint: bool,
}

/// The sixteen colours of a terminal with a dark background.
const COLOURS: [&str; 16] = [
    "#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4", "#7f848e",
    "#e88388", "#a8cc8c", "#f0d399", "#71bef2", "#d290e4", "#66c2cd", "#ffffff",
];
const INK: &str = "#c8ccd4";
const PAPER: &str = "#1e2127";

fn colour(colour: Color, otherwise: &'static str) -> &'static str {
    match colour {
        Color::Default => otherwise,
        Color::Idx(index) => COLOURS.get(usize::from(index)).copied().expect("gco uses the sixteen colours"),
        Color::Rgb(..) => panic!("gco leaves the shades to the terminal"),
    }
}

fn look(cell: &Cell) -> Look {
    let (ink, paper) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), PAPER));
    let (ink, paper) = if cell.inverse() { (paper, ink) } else { (ink, paper) };
    Look { ink, paper, bold: cell.bold(), faint: cell.dim() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The picture of a screen of this size; `shown` is what `tmux capture-pane -e` gives. `title` is for those who do not see it.
pub fn draw(shown: &str, columns: u16, rows: u16, title: &str) -> String {
    let mut parser =
        Parser::new(NonZero::new(rows).expect("rows"), NonZero::new(columns).expect("columns"), 0);
    parser.process(shown.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
    let size = |cells: u16, cell: usize| usize::from(cells) * cell + 2 * MARGIN;
    let (width, height) = (size(columns, CELL.0), size(rows, CELL.1));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13.3\">\n\
         <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{PAPER}\"/>\n",
        escaped(title)
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let cell = |column: u16| parser.screen().cell(row, column).expect("a cell of the screen");
            let (start, look_of_run) = (column, look(cell(column)));
            let mut text = String::new();
            // A wide character is a run of its own: fonts do not agree on how wide it is.
            while column < columns && look(cell(column)) == look_of_run {
                if cell(column).is_wide() {
                    if text.is_empty() {
                        text.push_str(cell(column).contents());
                        column += 2;
                    }
                    break;
                }
                text.push_str(if cell(column).has_contents() { cell(column).contents() } else { " " });
                column += 1;
            }
            draw_run(&mut svg, (start, column, row), look_of_run, &text);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_run(svg: &mut String, (start, end, row): (u16, u16, u16), look: Look, text: &str) {
    let place = |cells: u16, cell: usize| usize::from(cells) * cell + MARGIN;
    let (x, y) = (place(start, CELL.0), place(row, CELL.1));
    let width = usize::from(end - start) * CELL.0;
    if look.paper != PAPER {
        writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\" fill=\"{}\"/>",
            CELL.1, look.paper
        )
        .expect("a string takes it");
    }
    let bold = if look.bold { " font-weight=\"bold\"" } else { "" };
    let faint = if look.faint { " opacity=\"0.6\"" } else { "" };
    // Each piece between wide gaps has a place of its own: not every program that draws heeds the widths.
    let mut at = x;
    for piece in text.split_inclusive("  ") {
        let (words, width) = (piece.trim_end(), piece.trim_end().width() * CELL.0);
        if !words.is_empty() {
            writeln!(
                svg,
                "<text x=\"{at}\" y=\"{}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{bold}{faint} xml:space=\"preserve\">{}</text>",
                y + 13,
                look.ink,
                escaped(words)
            )
            .expect("a string takes it");
        }
        at += piece.width() * CELL.0;
    }
}

/// The text in a picture, a line for each of its rows, without what is different each time: numbers, and how wide things are.
pub fn words(svg: &str) -> Vec<String> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in svg.lines().filter(|line| line.starts_with("<text")) {
        let y =
            line.split("y=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a place").to_owned();
        let text = line.split('>').nth(1).and_then(|rest| rest.split("</text").next()).expect("a text");
        match rows.last_mut() {
            Some((at, row)) if *at == y => {
                row.push(' ');
                row.push_str(text);
            }
            _ => rows.push((y, text.to_owned())),
        }
    }
    rows.into_iter().map(|(_, text)| told(&text)).collect()
}

/// The words of a row without its numbers and times.
fn told(row: &str) -> String {
    let row = row.replace("just now", "1m ago");
    let words = row.split_whitespace().map(|word| {
        let parts = word.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("0")
    });
    let times = ["ms", "s", "m", "m0s", ""];
    words.filter(|word| !times.contains(&word.as_str())).collect::<Vec<_>>().join(" ")
}
