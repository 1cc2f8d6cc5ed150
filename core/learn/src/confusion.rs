//! Which class was taken for which.
use serde::{Deserialize, Serialize};

/// A count for each pair of true class and answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// A row for each true class, a column for each answer.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Nothing was counted.
    #[must_use]
    pub fn new(labels: &[String]) -> Self {
        Self { labels: labels.to_vec(), counts: vec![vec![0; labels.len()]; labels.len()] }
    }

    /// One picture of class `truth` was answered by class `answer`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn count(&mut self, truth: usize, answer: usize) {
        self.counts[truth][answer] += 1;
    }

    /// Pictures of a class, and how many of them were answered rightly.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn right_of(&self, class: usize) -> (usize, usize) {
        (self.counts[class][class], self.counts[class].iter().sum())
    }

    /// All pictures, and how many of them were answered rightly.
    #[must_use]
    pub fn right(&self) -> (usize, usize) {
        let classes = (0..self.labels.len()).map(|class| self.right_of(class));
        classes.fold((0, 0), |(right, total), (r, t)| (right + r, total + t))
    }

    /// The part of all pictures that was answered rightly; 0 where there is none.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        part(self.right())
    }

    /// The part of a class's pictures that was answered rightly; 0 where there is none.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn recall(&self, class: usize) -> f64 {
        part(self.right_of(class))
    }
}

#[expect(clippy::cast_precision_loss, reason = "pictures are fewer than 2⁵³")]
fn part((right, total): (usize, usize)) -> f64 {
    right as f64 / total.max(1) as f64
}

/// A table for people: a row for each true class, its recall at the end.
impl std::fmt::Display for Confusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.labels.iter().map(String::len).max().unwrap_or(0).max(6) + 2;
        write!(f, "{:width$}", "")?;
        self.labels.iter().try_for_each(|label| write!(f, "{label:>width$}"))?;
        writeln!(f, "{:>width$}", "recall")?;
        for (class, (label, row)) in self.labels.iter().zip(&self.counts).enumerate() {
            write!(f, "{label:<width$}")?;
            row.iter().try_for_each(|count| write!(f, "{count:>width$}"))?;
            writeln!(f, "{:>width$.4}", self.recall(class))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_and_recall_are_parts_of_what_was_counted() {
        let labels = ["red".to_owned(), "yellow".into(), "green".into()];
        let mut confusion = Confusion::new(&labels);
        for (truth, answer, times) in [(0, 0, 5), (0, 2, 1), (1, 1, 1), (1, 0, 3), (2, 2, 10)] {
            (0..times).for_each(|_| confusion.count(truth, answer));
        }
        assert_eq!(confusion.right(), (16, 20));
        assert!((confusion.accuracy() - 0.8).abs() < 1e-12);
        let recalls = [0, 1, 2].map(|class| confusion.recall(class));
        assert!(recalls.iter().zip([5.0 / 6.0, 0.25, 1.0]).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(Confusion::new(&labels).accuracy().abs() < 1e-12, "no picture is no success");
        let table = confusion.to_string();
        let expected = [
            "             red  yellow   green  recall\n",
            "red            5       0       1  0.8333\n",
            "yellow         3       1       0  0.2500\n",
            "green          0       0      10  1.0000\n",
        ];
        assert_eq!(table, expected.concat());
    }
}
