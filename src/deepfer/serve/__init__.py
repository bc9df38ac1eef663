"""A web page and a REST service, and a page that needs neither."""
