"""The pages of the browser app and the components they share."""
