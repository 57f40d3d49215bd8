"""Names of recorded series that natobs asks Prometheus for; they are Sloth's, so that its rules serve as well."""

ERROR_30M = "slo:sli_error:ratio_rate30m"
ERROR_6H = "slo:sli_error:ratio_rate6h"
ERROR_BUDGET = "slo:error_budget:ratio"

ID = "sloth_id"
SERVICE = "sloth_service"
SLO = "sloth_slo"
WINDOW = "sloth_window"

CLUSTER = "nat_cluster"
NAT = "nat"
SUBNET = "subnet"
