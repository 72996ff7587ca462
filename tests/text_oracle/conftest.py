"""Options of the comparisons with the packages that gallop's text must agree with."""


def pytest_addoption(parser):
    parser.addoption("--strings", type=int, default=None,
                     help="generated strings for the tokenizer: 20,000, with --full 1,000,000")
    parser.addoption("--conversations", type=int, default=None,
                     help="generated conversations a template: 100, with --full 4,000")
