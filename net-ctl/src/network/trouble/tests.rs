//! Exit codes by what an error says.

use lifecycle::{Error, Verb};
use spec::Error as Reported;

use super::{Exit, exit, failure, is_exhausted};
use crate::places::Given;

fn plugin(verb: Verb, error: Reported) -> Error {
    Error::Plugin { plugin: "type=\"one\"".to_owned(), verb, error }
}

#[test]
fn a_refusal_by_the_kernel_is_one_whatever_the_verb() {
    for verb in [Verb::Add, Verb::Del, Verb::Check, Verb::Gc] {
        for text in
            ["set up veth: Operation not permitted (os error 1)", "open /x: permission denied", "EPERM"]
        {
            assert_eq!(exit(&plugin(verb, Reported::internal(text))), Exit::NotPermitted);
        }
    }
}

#[test]
fn one_refusal_among_several_errors_counts() {
    let first = Box::new(plugin(Verb::Del, Reported::internal("busy")));
    let rest = vec![plugin(Verb::Del, Reported::internal("operation not permitted"))];
    assert_eq!(exit(&Error::Several { first, rest }), Exit::NotPermitted);
}

#[test]
fn a_configuration_that_the_first_plugin_refuses_is_a_mistake_of_the_caller() {
    for error in [Reported::invalid_environment("x"), Reported::decoding("x"), Reported::invalid_config("x")]
    {
        let error = Error::Refused { plugin: String::new(), error };
        assert_eq!(failure(String::new(), &error, &Given::default()).exit, Exit::Usage);
    }
}

#[test]
fn an_exhausted_pool_is_told_by_its_words() {
    assert!(is_exhausted(&Reported::try_again(
        "failed to allocate for range 0: no IP addresses available in"
    )));
    assert!(!is_exhausted(&Reported::try_again("another one is being made")));
}
