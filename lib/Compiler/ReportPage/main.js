// Everything in order; then the links at the top follow what is in sight.
function showNavigation() {
  const sections = [...document.querySelectorAll("main > section")].filter(section => !section.hidden);
  const links = new Map(sections.map(section => [section, make("a", { href: "#" + section.id }, section.dataset.nav)]));
  byId("nav").append(...links.values());
  const seen = new Set();
  const observer = new IntersectionObserver(entries => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target) : seen.delete(entry.target);
    const first = sections.find(section => seen.has(section));
    for (const [section, link] of links) section === first ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }, { rootMargin: "-80px 0px -55% 0px" });
  sections.forEach(section => observer.observe(section));
}

showVerdict();
showTimeline();
showGraph();
showTable();
showMemory();
showPrecision();
showTargets();
showPasses();
showRules();
showNavigation();
