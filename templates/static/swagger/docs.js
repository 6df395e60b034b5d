// Starts Swagger UI from the page's own attributes, so that the page needs no inline script.
"use strict";
const host = document.getElementById("swagger-ui");
window.ui = SwaggerUIBundle({
	url: host.dataset.schema,
	domNode: host,
	deepLinking: true,
	persistAuthorization: false,
	tryItOutEnabled: true,
	validatorUrl: null,
});
