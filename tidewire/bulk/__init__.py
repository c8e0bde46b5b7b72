"""Import and export in Mattermost's bulk format: lines of JSON, with files beside them in a zip or a folder."""
