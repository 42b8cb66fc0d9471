# IAM Roles Anywhere for the clients of one CA: a trust anchor, and a role and a profile for each kind of client.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.30"
    }
  }
}
{{provider}}
{{#newAnchor}}
resource "aws_rolesanywhere_trust_anchor" "this" {
  name    = {{trustAnchorName}}
  enabled = true

  source {
    source_type = "CERTIFICATE_BUNDLE"
    source_data {
      x509_certificate_data = <<-EOT
        {{certificates}}
      EOT
    }
  }
}

output "trust_anchor_arn" {
  description = "For pki creds --trust-anchor-arn"
  value       = aws_rolesanywhere_trust_anchor.this.arn
}
{{/newAnchor}}
{{#roles}}

locals {
  managed_policy_arns{{number}} = {{managedPolicyARNs}}
}

resource "aws_iam_role" "{{resource}}" {
  name                 = {{roleName}}
  description          = {{description}}
  max_session_duration = {{roleDurationSeconds}}

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "RolesAnywhere"
        Effect = "Allow"
        Principal = {
          Service = "rolesanywhere.amazonaws.com"
        }
        Action = [
          "sts:AssumeRole",
          "sts:TagSession",
          "sts:SetSourceIdentity",
        ]
        Condition = local.condition{{number}}
      },
    ]
  })
}

locals {
  # Who can assume the role: sessions through the trust anchor, with certificates that match all conditions.
  condition{{number}} = {{condition}}
}

resource "aws_iam_role_policy_attachment" "{{resource}}" {
  for_each = toset(local.managed_policy_arns{{number}})

  role       = aws_iam_role.{{resource}}.name
  policy_arn = each.value
}

resource "aws_rolesanywhere_profile" "{{resource}}" {
  name                = {{profileName}}
  enabled             = true
  role_arns           = [aws_iam_role.{{resource}}.arn]
  managed_policy_arns = local.managed_policy_arns{{number}}
  duration_seconds    = {{durationSeconds}}
}

output "profile_arn{{number}}" {
  description = "For pki creds --profile-arn"
  value       = aws_rolesanywhere_profile.{{resource}}.arn
}

output "role_arn{{number}}" {
  description = "For pki creds --role-arn"
  value       = aws_iam_role.{{resource}}.arn
}
{{/roles}}
