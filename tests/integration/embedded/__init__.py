"""Finding, copying and preparing the embedded services' programs."""
