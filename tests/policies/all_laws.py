"""Every law of the policies, by name; importing it reads them all."""

import laws_of_abort
import laws_of_backoff
import laws_of_classification
import laws_of_hosts
import laws_of_json
import laws_of_restart
import laws_of_retry
import laws_of_thresholds
import laws_of_validation

MODULES = (
    laws_of_backoff,
    laws_of_retry,
    laws_of_classification,
    laws_of_abort,
    laws_of_hosts,
    laws_of_thresholds,
    laws_of_restart,
    laws_of_json,
    laws_of_validation,
)
