package auth

import "slices"

// The permissions, in Django's form app.action. The first six are seed 000's (S0-104 to S0-109); model.md 5.8 has all.
const (
	BillingView                = "billing.view"
	BillingCreate              = "billing.create"
	BillingRefund              = "billing.refund"
	BillingCancel              = "billing.cancel"
	BillingReconcile           = "billing.reconcile"
	BillingGatewaysManage      = "billing.gateways.manage"
	BillingApprove             = "billing.approve"
	BillingInvoicesManage      = "billing.invoices.manage"
	BillingAccountsManage      = "billing.accounts.manage"
	BillingClaimsManage        = "billing.claims.manage"
	BillingPricingManage       = "billing.pricing.manage"
	BillingReportsView         = "billing.reports.view"
	BillingLedgerView          = "billing.ledger.view"
	BillingAuditView           = "billing.audit.view"
	BillingPatientDataView     = "billing.patient_data.view"
	BillingSubscriptionsManage = "billing.subscriptions.manage"
	BillingMethodsManage       = "billing.methods.manage"
	BillingJobsManage          = "billing.jobs.manage"
	UsersManage                = "users.manage"
	TenantManage               = "tenant.manage"
)

// Permission is a right with a sentence about it.
type Permission struct {
	Name  string
	About string
}

// Permissions lists all permissions (S0-62).
func Permissions() []Permission {
	return []Permission{
		{BillingView, "Read payments, invoices and methods."},
		{BillingCreate, "Submit payments and upload evidence."},
		{BillingRefund, "Refund payments, issue credit notes and void invoices."},
		{BillingCancel, "Cancel undecided payments of others."},
		{BillingReconcile, "Match bank statements and settlement reports."},
		{BillingGatewaysManage, "Configure payment gateways."},
		{BillingApprove, "Approve and reject submitted payments."},
		{BillingInvoicesManage, "Create and finalise invoices, and void drafts."},
		{BillingAccountsManage, "Create and change customer accounts."},
		{BillingClaimsManage, "Handle insurance claims."},
		{BillingPricingManage, "Change prices and taxes."},
		{BillingReportsView, "Read financial reports."},
		{BillingLedgerView, "Read the ledger."},
		{BillingAuditView, "Read the audit log."},
		{BillingPatientDataView, "See sensitive descriptions of services and patients."},
		{BillingSubscriptionsManage, "Change plans and subscriptions."},
		{BillingMethodsManage, "Configure payment methods of countries."},
		{BillingJobsManage, "Run background jobs by hand and restart dead ones."},
		{UsersManage, "Create users and change their roles."},
		{TenantManage, "Change the tenant's settings."},
	}
}

// The roles of model.md 5.8. Only members belong to an account.
const (
	RoleOwner   = "owner"
	RoleAdmin   = "admin"
	RoleFinance = "finance"
	RoleCashier = "cashier"
	RoleClaims  = "claims"
	RoleMember  = "member"
	RoleViewer  = "viewer"
)

// Roles lists the roles, the mightiest first.
func Roles() []string {
	return []string{RoleOwner, RoleAdmin, RoleFinance, RoleCashier, RoleClaims, RoleMember, RoleViewer}
}

// PermissionsOf gives what a role may do; nil for an unknown role.
func PermissionsOf(role string) []string {
	switch role {
	case RoleOwner, RoleAdmin:
		all := Permissions()
		names := make([]string, len(all))
		for i, p := range all {
			names[i] = p.Name
		}
		return names
	case RoleFinance:
		return []string{BillingView, BillingCreate, BillingRefund, BillingCancel, BillingReconcile, BillingApprove, BillingInvoicesManage,
			BillingAccountsManage, BillingPricingManage, BillingReportsView, BillingLedgerView}
	case RoleCashier:
		return []string{BillingView, BillingCreate, BillingInvoicesManage}
	case RoleClaims:
		return []string{BillingView, BillingClaimsManage, BillingPatientDataView}
	case RoleMember:
		return []string{BillingView, BillingCreate}
	case RoleViewer:
		return []string{BillingView}
	default:
		return nil
	}
}

// IsRole says whether role is one of ours.
func IsRole(role string) bool { return slices.Contains(Roles(), role) }
