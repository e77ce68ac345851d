// EgostreamClient.exe [ENDPOINT [STREAM [PAUSE_MS]]]: prints a line for each pose, as ../README.md specifies it, and
// notes on standard error. PAUSE_MS: a pause after each pose, as a program makes that draws between two poses.
using System;
using System.Linq;
using System.Threading;
using Egostream;

static class Program {
    static string Place(string name, double[] point) {
        return FormattableString.Invariant($" {name}={point[0]:F4},{point[1]:F4},{point[2]:F4}");
    }

    static int Main(string[] arguments) {
        Func<int, string, string> argument = (n, otherwise) => n < arguments.Length ? arguments[n] : otherwise;
        Action<string> note = text => Console.Error.WriteLine("note: " + string.Join(" ", text.Split('\r', '\n')));
        try {
            var poses = new PoseReceiver(argument(0, "tcp://127.0.0.1:5570"), argument(1, "0"), note);
            int pauseMs = int.Parse(argument(2, "0"));
            while (true) {
                Pose pose = poses.Newest(2000);
                if (pose == null) { note("no pose for 2 s; still waiting"); pose = poses.Newest(Timeout.Infinite); }
                Console.WriteLine(FormattableString.Invariant(
                    $"pose stream={pose.Stream} seq={pose.Seq} missed={poses.Missed} age_ms={pose.AgeMs():F1} ")
                    + FormattableString.Invariant($"confidence={pose.Confidence.Average():F2}")
                    + Place("neck", pose.Joints[Pose.Neck]) + Place("left_wrist", pose.Joints[Pose.LeftWrist])
                    + Place("right_wrist", pose.Joints[Pose.RightWrist]));
                Thread.Sleep(pauseMs);
            }
        } catch (Exception error) when (error is ArgumentException || error is FormatException) {
            Console.Error.WriteLine("error: " + string.Join(" ", arguments) + ": " + error.Message);
            return 1;
        }
    }
}
