//! Looking into the results that plugins print.
use serde_json::Value;

/// The addresses of a result (0.3.0 and newer), without prefix lengths, in order.
pub fn ips(result: &Value) -> Vec<String> {
    let list = result["ips"].as_array().unwrap_or_else(|| panic!("no ips in {result}"));
    let texts = list.iter().map(|ip| ip["address"].as_str().unwrap_or_else(|| panic!("no address in {ip}")));
    texts.map(|text| text.split('/').next().unwrap_or_default().to_owned()).collect()
}

/// The only address of a result.
pub fn ip(result: &Value) -> String {
    let ips = ips(result);
    assert_eq!(ips.len(), 1, "one address in {result}");
    ips.concat()
}

/// One key of the interface with this place in the result, as text.
pub fn interface(result: &Value, place: usize, key: &str) -> String {
    let value = result["interfaces"][place][key].as_str();
    value.unwrap_or_else(|| panic!("no {key} of interface {place} in {result}")).to_owned()
}

/// The name of the host's end of the veth pair that a bridge ADD reported.
pub fn host_veth(result: &Value) -> String {
    interface(result, 1, "name")
}
