//! A stand-in for wdk-build, which needs a WDK to build. It has only the items that the template uses.

#[derive(Debug)]
pub struct ConfigError;

/// # Errors
///
/// None.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Ok(())
}
