// Everything in the console works without this file. It only saves steps:
// filters apply themselves, the select-all box, the count of what is chosen,
// keys, a larger receipt, and no second press on a button that is at work.
"use strict";
(() => {
	const root = document.documentElement;
	root.classList.add("js");
	const $ = (selector, from = document) => from.querySelector(selector);
	const all = (selector, from = document) => [...from.querySelectorAll(selector)];

	// Choosing rows.
	const picks = () => all('.rows tbody .pick input[type="checkbox"]');
	function countPicks() {
		const boxes = picks();
		const chosen = boxes.filter((box) => box.checked).length;
		for (const out of all("[data-picked]")) out.textContent = String(chosen);
		const whole = $("#pick-all");
		if (whole) {
			whole.closest("label").hidden = boxes.length === 0;
			whole.checked = chosen > 0 && chosen === boxes.length;
			whole.indeterminate = chosen > 0 && chosen < boxes.length;
		}
	}
	document.addEventListener("change", (event) => {
		const target = event.target;
		if (target.id === "pick-all") for (const box of picks()) box.checked = target.checked;
		if (target.closest(".prefs")) target.form.requestSubmit();
		countPicks();
	});
	document.addEventListener("click", (event) => {
		if (event.target.closest("[data-clear-picks]")) {
			for (const box of picks()) box.checked = false;
			countPicks();
		}
		const figure = event.target.closest(".evidence figure");
		if (figure && event.target.tagName === "IMG") {
			event.preventDefault();
			figure.classList.toggle("zoomed");
		}
		const reason = event.target.closest("[data-reason]");
		if (reason) {
			const box = $("#" + reason.dataset.for);
			box.value = reason.dataset.reason;
			box.focus();
		}
		const closer = event.target.closest("[data-close]");
		if (closer) closer.closest("dialog").close();
		if (event.target.closest("[data-keys]")) $("#keys").showModal();
	});

	for (const button of all("[data-keys]")) button.hidden = false;

	// Addresses without the filters that are empty.
	document.addEventListener("htmx:configRequest", (event) => {
		const given = event.detail.parameters;
		if (event.detail.verb === "get") for (const name of Object.keys(given)) if (given[name] === "") delete given[name];
	});

	// One press is enough.
	document.addEventListener("submit", (event) => {
		if (event.target.method !== "post") return;
		if (event.target.dataset.sent) {
			event.preventDefault();
			return;
		}
		event.target.dataset.sent = "yes";
		if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
	});
	window.addEventListener("pageshow", () => {
		for (const form of all("form[data-sent]")) delete form.dataset.sent;
		for (const button of all('[aria-busy="true"]')) button.removeAttribute("aria-busy");
		countPicks();
	});
	document.addEventListener("htmx:afterSwap", countPicks);

	// Keys: j and k walk the rows, x chooses, Enter opens, / searches, ? explains.
	const typing = (element) => element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
	function step(by) {
		const links = all(".rows tbody .row-link");
		if (links.length === 0) return;
		const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
		const next = links[Math.min(links.length - 1, Math.max(0, at + by))];
		next.focus();
		next.closest("tr").scrollIntoView({ block: "nearest" });
	}
	const keys = {
		j: () => step(1),
		k: () => step(-1),
		x: () => {
			const box = $(".pick input", document.activeElement.closest("tr") || document.createElement("p"));
			if (box) box.click();
		},
		"/": () => $('input[type="search"]') && $('input[type="search"]').focus(),
		"?": () => $("#keys") && $("#keys").showModal(),
		a: () => $("#received") && $("#received").select(),
		r: () => {
			const fold = $("details.reject");
			if (!fold) return;
			fold.open = true;
			$("#reason").focus();
		},
	};
	document.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
		if (typing(event.target)) {
			if (event.key === "Escape") event.target.blur();
			return;
		}
		const act = keys[event.key];
		if (!act) return;
		event.preventDefault();
		act();
	});
	countPicks();
})();
