"""Options of the comparisons with the packages that gallop's text must agree with."""


def pytest_addoption(parser):
    parser.addoption("--strings", type=int, default=None,
                     help="generated strings for the tokenizer: 20,000, with --full 1,000,000")
    parser.addoption("--conversations", type=int, default=None,
                     help="generated conversations a template: 100, with --full 4,000")


def pytest_ignore_collect(collection_path, config):
    """What fetches other families' templates, an archive of 77 MB, belongs to the full tier; speed
    is measured on the optimized build alone."""
    fetches = collection_path.name == "test_peer_templates.py"
    measures = collection_path.name == "test_tokenizer_speed.py"
    sanitized = config.getoption("--gallop") != "build/release/gallop"
    if (fetches and not config.getoption("--full")) or (measures and sanitized):
        return True
    return None
