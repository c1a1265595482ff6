"""What an error that a store raised means: that it cannot be reached now, or that what was said is refused."""

from relevance.errors import first_line
from relevance.masking import mask_message
from relevance.tracking.location import READ_ONLY

LATER = {401, 403, 408, 429, 499}  # of HTTP: who asks must wait or prove who they are; other 4xx refuse what is said
SQLITE_SHUT = "readonly database"


def unreached(error: BaseException) -> bool:
    """Whether a store did not answer, or takes nothing now: what was said to it can be said again later."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return unreached(error.__cause__) if error.__cause__ else status >= 500 or status in LATER
    if isinstance(error, RequestException) and error.response is not None:  # of a server's place of files
        return error.response.status_code >= 500
    return isinstance(error, RequestException | DBAPIError | ConnectionError | TimeoutError)


def reason(error: BaseException) -> str:
    """What the error says, on a line without passwords."""
    line = mask_message(first_line(error))
    return f"the database {READ_ONLY}" if SQLITE_SHUT in line else line
