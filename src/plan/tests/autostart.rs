//! Both models of autostart.

use super::*;

const FILE: &str = "/home/oem/app/docker-compose.yml";

/// Returns a deployment that enables `app`, and a device that has its file.
fn enabling() -> (Deployment, Facts) {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.autostart.enable = vec![AutostartService { service: "app".into(), file: Some(remote(FILE)) }];
    put(&mut facts, FILE, Some("services: {}"));
    (wanted, facts)
}

fn service(facts: &mut Facts, fact: ServiceFact) {
    facts.services.insert("app".into(), fact);
}

#[test]
fn a_service_is_enabled_where_it_is_not_or_where_its_link_leads_elsewhere() {
    let (wanted, mut facts) = enabling();
    let enable = "autostart: enable app\n  sh -c '# enables a service and links its compose file…' sh app \
                  /home/oem/app/docker-compose.yml /usr/share/oem/docker/compose directory";
    let right = ServiceFact { enabled: true, directory_link: Some("/home/oem/app".into()), ..ServiceFact::default() };
    let elsewhere = ServiceFact { directory_link: Some("/home/oem/app0".into()), ..right.clone() };
    let disabled = ServiceFact { enabled: false, ..right.clone() };
    let through_file = ServiceFact { directory_link: None, file_link: Some(FILE.into()), ..right.clone() };
    for wrong in [ServiceFact::default(), elsewhere, disabled, through_file] {
        service(&mut facts, wrong);
        assert_eq!(shown(&wanted, &facts), enable);
    }
    service(&mut facts, right);
    assert_eq!(shown(&wanted, &facts), "autostart: nothing to do: set already");
}

#[test]
fn a_compose_file_of_another_name_is_linked_itself() {
    let (mut wanted, mut facts) = enabling();
    wanted.autostart.enable[0].file = Some(remote("~/app/my.yml"));
    put(&mut facts, "/home/oem/app/my.yml", Some("services: {}"));
    service(
        &mut facts,
        ServiceFact { enabled: true, file_link: Some("/home/oem/app/my.yml".into()), ..ServiceFact::default() },
    );
    assert_eq!(shown(&wanted, &facts), "autostart: nothing to do: set already");
}

#[test]
fn what_cannot_be_enabled_is_said() {
    let (mut wanted, mut facts) = enabling();
    service(&mut facts, ServiceFact { own_file: true, ..ServiceFact::default() });
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: autostart: `/usr/share/oem/docker/compose/app/docker-compose.yml` is there already and differs: it is a file of its own and no link
    hint: remove it first with `--items_to_cleanup`, or choose another service name
    ");
    facts.services.clear();
    facts.paths.remove(FILE);
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: autostart: `/home/oem/app/docker-compose.yml` is not on the device
    hint: check the path (`~` is /home/oem there), or send it first: `--transfers_to_vpu LOCAL,REMOTE`
    ");
    wanted.autostart.enable[0].file = None;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Usage: autostart: autostart of `app` needs its compose file
    hint: name it: `--enable_autostart FILE:SERVICE`, or `file:` beside `service:` in the YAML
    ");
    facts.autostart = AutostartModel::None;
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    Conflict: autostart: the device has no autostart units (`oem-dc@` or `oem-dc-autostart`)
    hint: give the service `restart: unless-stopped` in its compose file: docker then starts it again
    ");
}

#[test]
fn a_disabled_service_whose_containers_would_come_back_is_not_off_yet() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.autostart.disable = vec!["app".into()];
    assert_eq!(shown(&wanted, &facts), "autostart: nothing to do: set already");
    service(&mut facts, ServiceFact { directory_link: Some("/home/oem/My.App".into()), ..ServiceFact::default() });
    docker(&mut facts).containers = vec![Container { project: Some("myapp".into()), ..container("web", "sha256:web") }];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    autostart: disable app
      sh -c '# disables a service…' sh app myapp
    ");
    docker(&mut facts).containers[0].restart_policy = "no".into();
    assert_eq!(shown(&wanted, &facts), "autostart: nothing to do: set already");
}

#[test]
fn with_the_one_unit_containers_come_back_by_their_policy() {
    let (wanted, mut facts) = enabling();
    facts.autostart = AutostartModel::Single { enabled: true };
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    assert_eq!(shown(&wanted, &facts), "autostart: nothing to do: set already");
    docker(&mut facts).containers[0].restart_policy = "on-failure".into();
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    autostart: enable app
      sh -c '# has containers come back with docker…' sh app
    ");
    docker(&mut facts).containers[0].restart_policy = "always".into();
    facts.autostart = AutostartModel::Single { enabled: false };
    assert!(shown(&wanted, &facts).starts_with("autostart: enable app\n"));
}

#[test]
fn with_the_one_unit_only_containers_that_would_come_back_are_turned_off() {
    let (mut wanted, mut facts) = (nothing(), device());
    wanted.autostart.disable = vec!["web".into()];
    facts.autostart = AutostartModel::Single { enabled: true };
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    insta::assert_snapshot!(shown(&wanted, &facts), @r"
    autostart: disable web
      sh -c '# keeps containers from coming back…' sh web
    ");
    docker(&mut facts).containers[0].restart_policy = "no".into();
    assert_eq!(shown(&wanted, &facts), "autostart: nothing to do: set already");
}

#[test]
fn containers_that_this_plan_makes_anew_get_their_policy_set_again() {
    let (mut wanted, mut facts) = enabling();
    facts.autostart = AutostartModel::Single { enabled: true };
    compose(&mut wanted, &mut facts, "services: { web: { image: 'web:1' } }");
    docker(&mut facts).containers = vec![container("web", "sha256:web")];
    assert!(shown(&wanted, &facts).contains("\nautostart: enable app\n"));
    wanted.autostart = Autostart { enable: Vec::new(), disable: vec!["app".into()] };
    docker(&mut facts).containers[0].restart_policy = "no".into();
    assert!(shown(&wanted, &facts).contains("\nautostart: disable app\n"));
}
