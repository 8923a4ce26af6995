//! Our operators and functions as bytes, between the parts of a cluster.
//!
//! Physical plans travel as DataFusion's protobuf. Our nodes are extensions of it: a first byte tells them from Ballista's own,
//! the rest is JSON, with expressions in DataFusion's form. An operator is made again over its decoded inputs, which may be a
//! slice of those that it had: nothing in it counts partitions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{ScalarUDF, WindowUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use rejoin_instances::encoding::{expr_bytes, read_expr};
use serde::{Deserialize, Serialize};

use super::keep::{KeepExec, KeptShape};
use super::windows;
use super::writes::{WriteExec, WriteSpec};
use crate::engine::beside::BesideExec;
use crate::engine::journey::{
    Answer, Call, DataDrivenExec, Input, InputColumns, JourneyExec, JourneySpec, PathExec, PathSpec, PersonRows,
    PhysicalWindow, RowTerms, StoredRows, WindowExec,
};
use crate::engine::persistence::{PersistenceExec, Persisting};
use crate::engine::repeats::RepeatsExec;
use crate::engine::visits::{VisitRules, VisitsExec};
use crate::functions::FunctionSpec;
use crate::lake::merge::SortedMergeExec;
use crate::lake::ranges::RangeExec;
use crate::lake::{Lake, layout};

/// First byte of a node of Ballista's own.
const BALLISTA: u8 = 0;
/// First byte of one of ours.
const OURS: u8 = 1;

/// An expression in protobuf.
type Encoded = Vec<u8>;

/// Our operators, without their inputs.
#[derive(Serialize, Deserialize)]
enum Node {
    Keep(KeptShape),
    SortedMerge {
        of_branches: bool,
    },
    /// The range of each file comes with the file.
    Range,
    Beside,
    /// Inputs with stored columns are Some.
    Journey {
        answer: Answer,
        inputs: Vec<Option<(StoredRows, RowTerms<Encoded>)>>,
        persons: Option<PersonRows>,
    },
    DataDriven(JourneySpec),
    Path(PathSpec),
    Visits(HashMap<String, VisitRules>),
    Repeats,
    Persistence(Persisting),
    Window {
        calls: Vec<Call>,
        arguments: Vec<Encoded>,
        window: EncodedWindow,
    },
    Write(WriteSpec),
}

#[derive(Serialize, Deserialize)]
struct EncodedWindow {
    visitor: Vec<Encoded>,
    in_lake_order: bool,
    within: Vec<Encoded>,
    order: Vec<Encoded>,
}

/// Ballista's codec and ours.
#[derive(Debug, Default)]
pub struct Codec {
    ballista: BallistaPhysicalExtensionCodec,
    /// Where this process may write.
    lake: Option<Lake>,
}

impl Codec {
    /// The codec of a process that may write to `lake`.
    pub fn writing_to(lake: Lake) -> Self {
        Self { lake: Some(lake), ..Self::default() }
    }

    /// One of ours as a [`Node`], if it is.
    fn node(&self, plan: &dyn ExecutionPlan, conv: &dyn PhysicalProtoConverterExtension) -> Result<Option<Node>> {
        let encoded = |exprs: &[Arc<dyn PhysicalExpr>]| {
            let one = |expr| Ok(expr_bytes(&conv.physical_expr_to_proto(expr, self)?));
            exprs.iter().map(one).collect::<Result<Vec<Encoded>>>()
        };
        Ok(if let Some(kept) = plan.downcast_ref::<KeepExec>() {
            Some(Node::Keep(kept.keep))
        } else if let Some(merge) = plan.downcast_ref::<SortedMergeExec>() {
            Some(Node::SortedMerge { of_branches: merge.is_of_branches() })
        } else if plan.is::<RangeExec>() {
            Some(Node::Range)
        } else if plan.is::<BesideExec>() {
            Some(Node::Beside)
        } else if let Some(journey) = plan.downcast_ref::<JourneyExec>() {
            let inputs = journey.input_columns().into_iter().map(|columns| {
                let InputColumns::Stored(rows, terms) = columns else { return Ok(None) };
                let encoded = |term: &Arc<dyn PhysicalExpr>| {
                    Ok::<_, DataFusionError>(expr_bytes(&conv.physical_expr_to_proto(term, self)?))
                };
                Ok(Some((rows, terms.map(encoded)?)))
            });
            let (answer, persons) = (journey.answer().clone(), journey.persons().cloned());
            Some(Node::Journey { answer, inputs: inputs.collect::<Result<_>>()?, persons })
        } else if let Some(models) = plan.downcast_ref::<DataDrivenExec>() {
            Some(Node::DataDriven(models.spec().clone()))
        } else if let Some(path) = plan.downcast_ref::<PathExec>() {
            Some(Node::Path(path.spec().clone()))
        } else if let Some(visits) = plan.downcast_ref::<VisitsExec>() {
            Some(Node::Visits(visits.rules().clone()))
        } else if plan.is::<RepeatsExec>() {
            Some(Node::Repeats)
        } else if let Some(persistence) = plan.downcast_ref::<PersistenceExec>() {
            Some(Node::Persistence(persistence.what().clone()))
        } else if let Some(own) = plan.downcast_ref::<WindowExec>() {
            let PhysicalWindow { visitor, in_lake_order, within, order } = own.window();
            let window = EncodedWindow {
                visitor: encoded(visitor)?,
                in_lake_order: *in_lake_order,
                within: encoded(within)?,
                order: encoded(order)?,
            };
            Some(Node::Window { calls: own.calls().to_vec(), arguments: encoded(own.arguments())?, window })
        } else {
            plan.downcast_ref::<WriteExec>().map(|write| Node::Write(write.spec().clone()))
        })
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        conv: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match self.node(node.as_ref(), conv)? {
            Some(ours) => {
                buf.push(OURS);
                serde_json::to_writer(buf, &ours).map_err(|e| DataFusionError::External(Box::new(e)))
            }
            None => {
                buf.push(BALLISTA);
                self.ballista.try_encode(node, buf, conv)
            }
        }
    }

    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        conv: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let node = match buf.split_first() {
            Some((&OURS, json)) => {
                serde_json::from_slice::<Node>(json).map_err(|e| malformed(format!("an operator: {e}")))?
            }
            Some((&BALLISTA, rest)) => return self.ballista.try_decode(rest, inputs, context, conv),
            _ => return Err(malformed("an operator of an unknown kind")),
        };
        let decoding = PhysicalPlanDecodeContext::new(context, self);
        let decoded = |bytes: &Encoded, schema: &Schema| {
            let expr = read_expr(bytes).map_err(|e| malformed(e.to_string()))?;
            conv.proto_to_physical_expr(&expr, schema, &decoding)
        };
        let first = || inputs.first().cloned().ok_or_else(|| malformed("an operator without its input"));
        Ok(match node {
            Node::Keep(keep) => KeepExec::over(first()?, keep),
            Node::SortedMerge { of_branches } => {
                let order = layout::ordering(&first()?.schema());
                let order = order.ok_or_else(|| malformed("a merge of rows without the lake's order"))?;
                Arc::new(match of_branches {
                    true => SortedMergeExec::of_branches(inputs.to_vec(), order),
                    false => SortedMergeExec::of_generations(inputs.to_vec(), order),
                })
            }
            Node::Range => Arc::new(RangeExec::new(first()?)),
            Node::Beside => match inputs {
                [first, second] => Arc::new(BesideExec::new(first.clone(), second.clone())),
                _ => return Err(malformed("columns beside each other of another number of inputs")),
            },
            Node::Journey { answer, inputs: columns, persons } => {
                if columns.len() != inputs.len() {
                    return Err(malformed("a journey with another number of inputs"));
                }
                let inputs = columns.into_iter().zip(inputs).map(|(columns, plan)| {
                    let columns = match columns {
                        None => InputColumns::Evaluated,
                        Some((rows, terms)) => {
                            let terms = terms.map(|term| decoded(term, &plan.schema()))?;
                            InputColumns::Stored(rows, Arc::new(terms))
                        }
                    };
                    Ok(Input { columns, plan: plan.clone() })
                });
                Arc::new(JourneyExec::new(answer, inputs.collect::<Result<_>>()?, usize::MAX).by_person(persons))
            }
            Node::DataDriven(spec) => Arc::new(DataDrivenExec::new(spec, first()?)),
            Node::Path(spec) => Arc::new(PathExec::new(spec, first()?)),
            Node::Visits(rules) => Arc::new(VisitsExec::new(first()?, Arc::new(rules))),
            Node::Repeats => Arc::new(RepeatsExec::new(first()?)),
            Node::Persistence(what) => Arc::new(PersistenceExec::new(first()?, Arc::new(what))),
            Node::Write(spec) => Arc::new(WriteExec::new(first()?, spec, self.lake.clone())),
            Node::Window { calls, arguments, window } => {
                let input = first()?;
                let schema = input.schema();
                let decoded =
                    |exprs: Vec<Encoded>| exprs.iter().map(|expr| decoded(expr, &schema)).collect::<Result<Vec<_>>>();
                let arguments = decoded(arguments)?;
                let window = PhysicalWindow {
                    visitor: decoded(window.visitor)?,
                    in_lake_order: window.in_lake_order,
                    within: decoded(window.within)?,
                    order: decoded(window.order)?,
                };
                Arc::new(WindowExec::try_new(Arc::new(window), calls, arguments, input)?)
            }
        })
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        match FunctionSpec::of(function) {
            Some(function_spec) => {
                serde_json::to_writer(buf, &function_spec).map_err(|e| DataFusionError::External(Box::new(e)))
            }
            None => Ok(()),
        }
    }

    fn try_encode_udwf(&self, function: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        if windows::ignores_nulls(function) {
            buf.push(OURS);
        }
        Ok(())
    }

    fn try_decode_udwf(&self, name: &str, _: &[u8]) -> Result<Arc<WindowUDF>> {
        windows::named(name).ok_or_else(|| malformed(format!("the window function {name}")))
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        let function_spec: FunctionSpec =
            serde_json::from_slice(buf).map_err(|e| malformed(format!("the function {name}: {e}")))?;
        let function = function_spec.function().ok_or_else(|| malformed(format!("the function {name}")))?;
        Ok(Arc::new(function))
    }
}

fn malformed(what: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(format!("the plan that came over the network is not readable: {what}"))
}
