//! What the compiler says of a wrong attribute, and that a right one compiles.

#[test]
fn a_wrong_attribute_is_refused_and_says_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
