// Pointing at a sentence, a citation, an evidence row or a mark on the photo lights up all that belong together.
for (const record of document.querySelectorAll("article.record")) {
  const parts = [...record.querySelectorAll("[data-ids]")].map((element) => ({
    element,
    ids: element.dataset.ids.split(" ").filter(Boolean),
  }));
  const light = (event) => {
    const at = event.type === "focusout" ? event.relatedTarget : event.target;
    const source = at?.closest("[data-ids]");
    const wanted = parts.find(({ element }) => element === source)?.ids ?? [];
    for (const { element, ids } of parts) {
      element.classList.toggle("lit", ids.some((id) => wanted.includes(id)));
    }
  };
  for (const type of ["pointerover", "focusin", "pointerleave", "focusout"]) {
    record.addEventListener(type, light);
  }
}
