//! Named columns of numbers: what an engine measures, and what it keeps to go on later.
//!
//! ```
//! use hmm_core::Table;
//! use ndarray::{Ix1, array};
//! let seen = Table::new().with("eg", 0.25).with("v", array![1.0, -1.0]);
//! assert_eq!(seen.number::<f64>("eg")?, 0.25);
//! assert_eq!(seen.array::<f64, Ix1>("v")?.sum(), 0.0);
//! # Ok::<(), hmm_core::Error>(())
//! ```

use crate::{Error, Result};
use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, Dimension, IxDyn};

/// Numbers of one type in an array of any shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// float32
    F32(ArrayD<f32>),
    /// float64
    F64(ArrayD<f64>),
    /// int64
    I64(ArrayD<i64>),
    /// uint64
    U64(ArrayD<u64>),
    /// bool
    Bool(ArrayD<bool>),
}

/// A type of number that columns can hold.
pub trait Entry: Copy + 'static {
    /// Name of the type as numpy writes it.
    const NAME: &'static str;
    /// A column of these numbers.
    fn column(values: ArrayD<Self>) -> Column;
    /// The numbers of a column of this type.
    fn values(column: &Column) -> Option<ArrayViewD<'_, Self>>;
}

macro_rules! entries {
    ($($type:ty, $variant:ident, $name:literal;)+) => {$(
        impl Entry for $type {
            const NAME: &'static str = $name;

            fn column(values: ArrayD<Self>) -> Column {
                Column::$variant(values)
            }

            fn values(column: &Column) -> Option<ArrayViewD<'_, Self>> {
                match column {
                    Column::$variant(values) => Some(values.view()),
                    _ => None,
                }
            }
        }

        impl From<$type> for Column {
            fn from(value: $type) -> Self {
                Self::$variant(ArrayD::from_elem(IxDyn(&[]), value))
            }
        }
    )+};
}

entries! {
    f32, F32, "float32";
    f64, F64, "float64";
    i64, I64, "int64";
    u64, U64, "uint64";
    bool, Bool, "bool";
}

impl<T: Entry> From<Vec<T>> for Column {
    fn from(values: Vec<T>) -> Self {
        T::column(Array::from_vec(values).into_dyn())
    }
}

impl<T: Entry, D: Dimension> From<Array<T, D>> for Column {
    fn from(values: Array<T, D>) -> Self {
        T::column(values.into_dyn())
    }
}

impl Column {
    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(values) => values.shape(),
            Self::F64(values) => values.shape(),
            Self::I64(values) => values.shape(),
            Self::U64(values) => values.shape(),
            Self::Bool(values) => values.shape(),
        }
    }
}

/// Columns by name, in the order they were added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table(Vec<(String, Column)>);

impl Table {
    /// No columns.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same with one column more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, column: impl Into<Column>) -> Self {
        self.push(name, column);
        self
    }

    /// Add a column.
    pub fn push(&mut self, name: impl Into<String>, column: impl Into<Column>) {
        self.0.push((name.into(), column.into()));
    }

    /// Whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Names and columns in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.0.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// The column of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, column)| column)
            .ok_or_else(|| {
                Error::invalid(
                    "state",
                    format!("without '{name}'"),
                    "a state holds every array of its engine",
                    "pass one that this engine gave",
                )
            })
    }

    /// The numbers called `name`, of type `T` and with the axes `D`.
    ///
    /// # Errors
    /// Another type or number of axes.
    pub fn array<T: Entry, D: Dimension>(&self, name: &str) -> Result<ArrayView<'_, T, D>> {
        let column = self.column(name)?;
        T::values(column)
            .and_then(|values| values.into_dimensionality::<D>().ok())
            .ok_or_else(|| {
                Error::invalid(
                    "state",
                    format!("'{name}' of shape {:?}", column.shape()),
                    format!("must be {} with {:?} axes", T::NAME, D::NDIM),
                    "pass a state that this engine gave",
                )
            })
    }

    /// The single number called `name`.
    ///
    /// # Errors
    /// Another type, or more than one number.
    pub fn number<T: Entry>(&self, name: &str) -> Result<T> {
        Ok(*self.array::<T, ndarray::Ix0>(name)?.into_scalar())
    }
}

impl IntoIterator for Table {
    type Item = (String, Column);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(String, Column)> for Table {
    fn from_iter<I: IntoIterator<Item = (String, Column)>>(columns: I) -> Self {
        Self(columns.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Ix1, Ix2, array};

    #[test]
    fn what_was_put_in_comes_out_with_its_type_and_shape() {
        let table = Table::new()
            .with("step", 7_u64)
            .with("w", array![[1.0_f32, 2.0], [3.0, 4.0]])
            .with("first", vec![-1_i64, 3]);
        assert_eq!(table.number::<u64>("step").unwrap(), 7);
        assert_eq!(table.array::<f32, Ix2>("w").unwrap()[[1, 0]], 3.0);
        assert_eq!(table.array::<i64, Ix1>("first").unwrap().len(), 2);
        assert!(table.has("w") && !table.has("v"));
        assert_eq!(
            table.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["step", "w", "first"]
        );
    }

    #[test]
    fn missing_and_mistyped_columns_are_refused_by_name() {
        let table = Table::new().with("w", vec![1.0_f64]);
        assert!(table.column("v").unwrap_err().to_string().contains("'v'"));
        let mistyped = table.array::<f32, Ix1>("w").unwrap_err().to_string();
        assert!(mistyped.contains("'w' of shape [1]: must be float32"));
        assert!(table.array::<f64, Ix2>("w").is_err());
    }
}
