"""Where the screenshot of the chat page goes."""


def pytest_addoption(parser):
    parser.addoption("--screenshot", default="",
                     help="file for the chat page's picture (default: a temporary one)")
