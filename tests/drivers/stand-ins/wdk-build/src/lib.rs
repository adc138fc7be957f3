//! Stands in for wdk-build, which needs a WDK to build: what the template names of it, and no more.

#[derive(Debug)]
pub struct ConfigError;

/// # Errors
///
/// None.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Ok(())
}
