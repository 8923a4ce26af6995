//! The picture of a flow: bands from the items of one step to those of the next, as SVG that needs no script. It has no number
//! that the table beside it lacks, and names are text in it.

use maud::{Markup, html};

use crate::pages::number;

/// Sizes, in the picture's own units.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const BAR: f64 = 12.0;
const GAP: f64 = 16.0;
/// What the thinnest bar has, so that it is seen.
const THINNEST: f64 = 2.0;
/// Characters of a name that are written beside its bar; the pointer shows all.
const NAME: usize = 24;

/// What goes from an item to another, in a step from 1.
#[derive(Debug, Clone)]
pub(super) struct FlowLink {
    pub step: usize,
    pub item: Option<String>,
    pub next: Option<String>,
    pub size: f64,
}

/// An item in a column.
#[derive(Debug)]
struct Bar<'w> {
    column: usize,
    item: Option<&'w str>,
    into: f64,
    out: f64,
    top: f64,
}

impl Bar<'_> {
    fn size(&self) -> f64 {
        self.into.max(self.out)
    }
}

/// The picture; `end` is what an item that there is not is called. With `back` the steps go from the right to the left.
pub(super) fn picture(title: &str, ways: &[FlowLink], end: &str, back: bool) -> Markup {
    let mut bars = bars(ways);
    let columns = bars.iter().map(|bar| bar.column + 1).max().unwrap_or_default();
    let (height, scale) = places(&mut bars, columns);
    let left = |column: usize| {
        let place = if back { columns - 1 - column } else { column };
        place as f64 * (WIDTH - BAR) / (columns.max(2) - 1) as f64
    };
    let name = |bar: &Bar<'_>| match (bar.item, bar.column) {
        (Some(item), _) => item.to_string(),
        (None, 0) => "(none)".to_string(),
        (None, _) => end.to_string(),
    };
    html! {
        @if !ways.is_empty() {
            div.scroll.ways tabindex="0" role="region" aria-label={ "Picture: " (title) } {
                svg viewBox=(format!("0 0 {WIDTH} {height:.0}")) role="img" aria-label={ (title) "; the table below has the numbers" } {
                    @for band in bands(ways, &bars, scale) {
                        @let (from, to) = (&bars[band.from], &bars[band.to]);
                        path d=(curve(&band, left(from.column), left(to.column))) stroke-width=(format!("{:.1}", band.width)) {
                            title { (name(from)) " → " (name(to)) ": " (number(band.size)) }
                        }
                    }
                    @for bar in &bars {
                        @let (x, full) = (left(bar.column), name(bar));
                        @let high = (bar.size() * scale).max(THINNEST);
                        g.end[bar.item.is_none()] {
                            rect x=(format!("{x:.1}")) y=(format!("{:.1}", bar.top)) width=(format!("{BAR}")) height=(format!("{high:.1}")) {
                                title { (full) ": " (number(bar.size())) }
                            }
                            @let middle = bar.top + high / 2.0 + 4.0;
                            @if x + BAR < WIDTH - 1.0 {
                                text x=(format!("{:.1}", x + BAR + 6.0)) y=(format!("{middle:.1}")) { (short(&full)) }
                            } @else {
                                text x=(format!("{:.1}", x - 6.0)) y=(format!("{middle:.1}")) text-anchor="end" { (short(&full)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The bars of all columns, in each the largest first, and what is no item last.
fn bars(ways: &[FlowLink]) -> Vec<Bar<'_>> {
    let mut bars: Vec<Bar<'_>> = vec![];
    for way in ways {
        let column = way.step.saturating_sub(1);
        for (column, item, comes) in [(column, way.item.as_deref(), false), (column + 1, way.next.as_deref(), true)] {
            let place = place_of(&bars, column, item).unwrap_or_else(|| {
                bars.push(Bar { column, item, into: 0.0, out: 0.0, top: 0.0 });
                bars.len() - 1
            });
            let bar = &mut bars[place];
            *(if comes { &mut bar.into } else { &mut bar.out }) += way.size;
        }
    }
    bars.sort_by(|a, b| {
        let by_size = b.size().total_cmp(&a.size());
        a.column.cmp(&b.column).then(a.item.is_none().cmp(&b.item.is_none())).then(by_size).then(a.item.cmp(&b.item))
    });
    bars
}

fn place_of(bars: &[Bar<'_>], column: usize, item: Option<&str>) -> Option<usize> {
    bars.iter().position(|bar| bar.column == column && bar.item == item)
}

/// Puts the bars of each column below one another. The picture's height, and the height of a journey.
fn places(bars: &mut [Bar<'_>], columns: usize) -> (f64, f64) {
    let most =
        (0..columns).map(|column| bars.iter().filter(|bar| bar.column == column).count()).max().unwrap_or_default();
    let height = HEIGHT.max(most as f64 * (GAP + 14.0));
    let scale = (0..columns)
        .map(|column| {
            let own = || bars.iter().filter(move |bar| bar.column == column);
            let total: f64 = own().map(Bar::size).sum();
            (height - GAP * own().count() as f64) / total.max(f64::MIN_POSITIVE)
        })
        .fold(f64::INFINITY, f64::min);
    for column in 0..columns {
        let mut top = GAP / 2.0;
        for bar in bars.iter_mut().filter(|bar| bar.column == column) {
            bar.top = top;
            top += (bar.size() * scale).max(THINNEST) + GAP;
        }
    }
    // thin bars are drawn thicker than they are
    let lowest = bars.iter().map(|bar| bar.top + (bar.size() * scale).max(THINNEST)).fold(height, f64::max);
    (lowest + GAP / 2.0, scale)
}

/// A band between two bars, with the middle of both its ends.
struct Band {
    from: usize,
    to: usize,
    leaves: f64,
    arrives: f64,
    width: f64,
    size: f64,
}

/// The bands, which leave and reach each bar in the order of the bars at their other ends.
fn bands(ways: &[FlowLink], bars: &[Bar<'_>], scale: f64) -> Vec<Band> {
    let mut bands: Vec<Band> = ways
        .iter()
        .filter_map(|way| {
            let column = way.step.saturating_sub(1);
            let from = place_of(bars, column, way.item.as_deref())?;
            let to = place_of(bars, column + 1, way.next.as_deref())?;
            let width = (way.size * scale).max(1.0);
            Some(Band { from, to, leaves: 0.0, arrives: 0.0, width, size: way.size })
        })
        .collect();
    let mut used = vec![0.0; bars.len()];
    bands.sort_by_key(|band| (band.from, band.to));
    for band in &mut bands {
        band.leaves = bars[band.from].top + used[band.from] + band.size * scale / 2.0;
        used[band.from] += band.size * scale;
    }
    let mut used = vec![0.0; bars.len()];
    bands.sort_by_key(|band| (band.to, band.from));
    for band in &mut bands {
        band.arrives = bars[band.to].top + used[band.to] + band.size * scale / 2.0;
        used[band.to] += band.size * scale;
    }
    bands
}

/// From the side of one bar to the facing side of another.
fn curve(band: &Band, from: f64, to: f64) -> String {
    let (start, end) = if from < to { (from + BAR, to) } else { (from, to + BAR) };
    let middle = (start + end) / 2.0;
    let (leaves, arrives) = (band.leaves, band.arrives);
    format!("M{start:.1} {leaves:.1}C{middle:.1} {leaves:.1} {middle:.1} {arrives:.1} {end:.1} {arrives:.1}")
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_string();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn way(step: usize, item: Option<&str>, next: Option<&str>, size: f64) -> FlowLink {
        FlowLink { step, item: item.map(str::to_string), next: next.map(str::to_string), size }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let ways = [
            way(1, Some("home"), Some("shoes"), 30.0),
            way(1, Some("home"), None, 10.0),
            way(1, None, Some("home"), 5.0),
            way(2, Some("shoes"), Some("home"), 20.0),
        ];
        let mut all = bars(&ways);
        let named: Vec<_> = all.iter().map(|bar| (bar.column, bar.item, bar.size())).collect();
        assert_eq!(
            named,
            [
                (0, Some("home"), 40.0),
                (0, None, 5.0),
                (1, Some("shoes"), 30.0),
                (1, Some("home"), 5.0),
                (1, None, 10.0),
                (2, Some("home"), 20.0)
            ]
        );
        let (height, scale) = places(&mut all, 3);
        assert!(all.iter().all(|bar| bar.top >= 0.0 && bar.top + bar.size() * scale <= height), "{all:?}");
        for band in bands(&ways, &all, scale) {
            let (from, to) = (&all[band.from], &all[band.to]);
            assert!(band.leaves >= from.top && band.leaves <= from.top + from.size() * scale);
            assert!(band.arrives >= to.top && band.arrives <= to.top + to.size() * scale);
        }
    }

    #[test]
    fn names_are_text_and_nothing_is_no_picture() {
        let long = "<img src=x>".repeat(20);
        let drawn = picture("Flow", &[way(1, Some(&long), None, 1.0)], "(end)", true).into_string();
        assert!(!drawn.contains("<img") && drawn.contains("&lt;img src=x&gt;") && drawn.contains('…'), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert!(picture("Flow", &[], "(end)", false).into_string().is_empty());
    }
}
