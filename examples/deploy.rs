//! Deploys what a configuration file says, with a report of its own:
//! `cargo run --example deploy -- deployment_examples/python_app 127.0.0.70`

use o3r_deploy::{
    config,
    deploy::{self, DeploySettings},
    report::{Event, Question, Report},
};

/// Prints what changed; whoever is asked something says no.
struct Changes;

impl Report for Changes {
    fn event(&mut self, event: &Event) {
        match event {
            Event::StageFinished { stage, says, .. } => println!("{stage}: {says}"),
            Event::Warning { text } => eprintln!("warning: {text}"),
            _ => {}
        }
    }

    fn ask(&mut self, _: &Question) -> Option<String> {
        None
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut wanted = config::load(words.next().as_deref().unwrap_or("."))?;
    if let Some(address) = words.next() {
        wanted.device.address = address;
    }
    deploy::blocking(&wanted, DeploySettings::default(), &mut Changes)?;
    Ok(())
}
