REVOKE DELETE ON payment_terms FROM countersign_app;
