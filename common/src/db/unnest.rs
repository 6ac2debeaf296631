// SPDX-License-Identifier: GPL-3.0-or-later
//! PostgreSQL's `unnest`, one function for each element type: Diesel's functions are not generic.
//!
//! A statement over arrays has one text whatever the number of rows, so it is prepared once for each connection.

use diesel::{
    define_sql_function,
    sql_types::{Array, Integer, Jsonb, SmallInt, Text, Timestamptz, Uuid},
};

macro_rules! unnest {
    ($name:ident, $element:ty) => {
        define_sql_function! {
            #[sql_name = "unnest"]
            fn $name(elements: Array<$element>) -> $element;
        }
    };
}

unnest!(unnest_integer, Integer);
unnest!(unnest_json, Jsonb);
unnest!(unnest_small, SmallInt);
unnest!(unnest_text, Text);
unnest!(unnest_time, Timestamptz);
unnest!(unnest_uuid, Uuid);
