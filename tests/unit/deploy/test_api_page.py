import pytest

from ui.api_page import is_described, through_console

DOCUMENT = {
    "openapi": "3.1.0",
    "servers": [{"url": "http://elsewhere"}],
    "security": [{"HTTPBearer": []}],
    "components": {"securitySchemes": {"HTTPBearer": {}}, "schemas": {"A": {}}},
    "paths": {
        "/v1/models": {"get": {"security": [{"HTTPBearer": []}], "summary": "models"}},
        "/v1/responses/{id}": {"get": {}, "servers": [{"url": "http://elsewhere"}]},
        "/health": {"get": {}},
    },
}


def test_requests_go_through_the_console_without_a_key_to_fill_in() -> None:
    document = through_console(DOCUMENT)
    assert document["servers"] == [{"url": "./call"}]
    assert document["paths"]["/v1/models"] == {"get": {"summary": "models"}}
    assert document["paths"]["/v1/responses/{id}"] == {"get": {}}
    assert document["components"] == {"schemas": {"A": {}}}
    assert "security" not in document


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/v1/responses/abc-1"])
def test_a_described_path_is_passed_on(path: str) -> None:
    assert is_described(DOCUMENT, path)


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/v1/models/", "/v1/responses/", "/v1/responses/a/b", "/v1/responses/..", "/v1/../health",
     "//elsewhere/health", "/health\\", "/healthx"],
)  # fmt: skip
def test_any_other_path_is_refused(path: str) -> None:
    assert not is_described(DOCUMENT, path)
