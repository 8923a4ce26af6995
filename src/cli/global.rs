//! Options of every command.

use std::path::PathBuf;

use clap::Args;

/// Options of every command, before or after its name.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArguments {
    /// The lake: a folder, file:// or s3://bucket/prefix [env: REJOIN_LAKE] [default: ./lake]
    #[arg(long, global = true, value_name = "URL")]
    pub lake: Option<String>,
    /// Report suite to work on
    #[arg(long, global = true, value_name = "RSID")]
    pub suite: Option<String>,
    /// Worker threads [default: one per core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Memory for sorting and queries [env: REJOIN_MEMORY] [default: 1GiB]
    #[arg(long, global = true, value_name = "SIZE")]
    pub memory: Option<String>,
    /// For a store without conditional writes: no two commands may write at once [env: REJOIN_SINGLE_WRITER]
    #[arg(long, global = true)]
    pub single_writer: bool,
    /// Cluster to compute on: HOST:PORT of its scheduler [env: REJOIN_CLUSTER]
    #[arg(long, global = true, value_name = "ADDR")]
    pub cluster: Option<String>,
    /// Folder with ca.pem, cert.pem and key.pem, for all connections of a cluster [env: REJOIN_CLUSTER_TLS]
    #[arg(long, global = true, value_name = "DIR")]
    pub cluster_tls: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
}
