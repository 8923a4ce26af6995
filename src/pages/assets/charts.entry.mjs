// What the pages need of Apache ECharts, as the global `echarts`. Legends are ours: check boxes, for the keyboard.
export { init } from "echarts/core";
import { use } from "echarts/core";
import { BarChart, LineChart, SankeyChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";
use([BarChart, LineChart, SankeyChart, AriaComponent, GridComponent, TooltipComponent, SVGRenderer]);
