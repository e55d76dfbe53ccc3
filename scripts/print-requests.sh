#!/usr/bin/env bash
# print-requests.sh ADDRESS: prints a request for each packaged example, to paste into another shell.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

address=${1:?"usage: print-requests.sh ADDRESS"}
# An address to listen on is not always one to call.
address=${address/#0.0.0.0/127.0.0.1}

request() {
    [[ -f $repo/target/repository/$1.tar.gz ]] || return 0
    cat <<CURL

curl http://$address/invocations \\
    -H 'X-Amzn-SageMaker-Target-Model: $1.tar.gz' \\
    -H 'Content-Type: $2' --data-binary '$3'
CURL
}

boto3_request() {
    [[ -f $repo/target/repository/iris.tar.gz ]] || return 0
    cat <<PYTHON

In Python, with boto3:

import boto3
runtime = boto3.client("sagemaker-runtime", endpoint_url="http://$address", region_name="any",
                       aws_access_key_id="any", aws_secret_access_key="any")
print(runtime.invoke_endpoint(EndpointName="default", TargetModel="iris.tar.gz",
                              ContentType="text/csv", Body="5.1,3.5,1.4,0.2")["Body"].read())
PYTHON
}

echo "Requests to paste into another shell, in this folder:"
request iris text/csv '5.1,3.5,1.4,0.2'
request breast-cancer-xgboost text/csv '@examples/breast-cancer-xgboost/request.csv'
request diabetes-xgboost text/csv '@examples/diabetes-xgboost/request.csv'
request wine-lightgbm text/csv '@examples/wine-lightgbm/request.csv'
request wine-sklearn text/csv '@examples/wine-sklearn/request.csv'
request digits image/png '@examples/digits/request.png'
request sentiment text/plain 'A wonderful film: I laughed, I cried, and I would see it again.'
request python-nearest-centroid text/csv '@examples/python-nearest-centroid/request.csv'
boto3_request
echo
