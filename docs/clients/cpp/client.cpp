// Prints a line for each pose of egostream, as ../README.md specifies it, and notes on standard error.
//
//     client [ENDPOINT [STREAM [PAUSE_MS]]]
//
// PAUSE_MS: a pause after each pose, as a program makes that draws between two poses.
#include "egostream_client.hpp"

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>

namespace {

constexpr std::chrono::milliseconds SILENCE(2000);

void print(const egostream::Pose& pose, std::int64_t missed) {
    const auto& all = pose.confidence;
    const double confidence = std::accumulate(all.begin(), all.end(), 0.0) / all.size();
    std::printf("pose stream=%s seq=%lld missed=%lld age_ms=%.1f confidence=%.2f", pose.stream.c_str(),
                static_cast<long long>(pose.seq), static_cast<long long>(missed), pose.age_ms(), confidence);
    const auto place = [&](const char* name, egostream::Joint joint) {
        const auto& [x, y, z] = pose.joints[joint];
        std::printf(" %s=%.4f,%.4f,%.4f", name, x, y, z);
    };
    place("neck", egostream::NECK);
    place("left_wrist", egostream::LEFT_WRIST);
    place("right_wrist", egostream::RIGHT_WRIST);
    std::printf("\n");
    std::fflush(stdout);
}

void step(egostream::PoseReceiver& poses, egostream::Missed& missed, std::chrono::milliseconds pause) {
    auto pose = poses.newest(SILENCE);
    if (!pose) {
        std::fprintf(stderr, "note: no pose for %g s; still waiting\n", SILENCE.count() / 1000.0);
        pose = poses.newest(std::chrono::milliseconds(-1));
    }
    const auto last_seq = missed.last_seq;
    if (!missed.saw(pose->seq))
        std::fprintf(stderr, "note: the publisher began anew: seq %lld after %lld\n",
                     static_cast<long long>(pose->seq), static_cast<long long>(last_seq));
    print(*pose, missed.count);
    std::this_thread::sleep_for(pause);
}

}  // namespace

int main(int count, char** arguments) {
    const auto argument = [&](int n, const char* other) { return std::string(n < count ? arguments[n] : other); };
    const auto endpoint = argument(1, "tcp://127.0.0.1:5570");
    try {
        egostream::PoseReceiver poses(endpoint, argument(2, "0"));
        const std::chrono::milliseconds pause(std::atoi(argument(3, "0").c_str()));
        egostream::Missed missed;
        while (true) {
            try {
                step(poses, missed, pause);
            } catch (const egostream::BadMessage& error) {
                std::fprintf(stderr, "note: message skipped: %s\n", error.what());
            }
        }
    } catch (const zmq::error_t& error) {
        std::fprintf(stderr, "error: %s: %s\n", endpoint.c_str(), error.what());
        return 1;
    }
}
