// Ctrl+Enter in the statement runs it; on a Mac Cmd+Enter does, too.
(() => {
  "use strict";
  const statement = document.getElementById("q"), run = document.getElementById("run");
  document.getElementById("run-hint").hidden = false;
  statement.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      statement.form.requestSubmit(run);
    }
  });
})();
