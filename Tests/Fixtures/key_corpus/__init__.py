# SPDX-License-Identifier: Apache-2.0
"""Key, certificate and container files as other people's tools make them: see make-key-corpus."""
